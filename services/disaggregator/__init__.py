"""Tells which appliances run, from the mains power alone."""
