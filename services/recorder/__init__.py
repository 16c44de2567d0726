"""The recorder: history, energy and money."""
