"""Starts the broker and the services of a home as processes of their own, and keeps them up."""
