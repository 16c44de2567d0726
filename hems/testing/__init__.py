"""Fakes that pass the same tests as the real thing; imported by tests only."""
