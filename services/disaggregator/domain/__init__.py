"""Decisions: readings onto clocks, probabilities into events. No I/O, no clock of its own."""
