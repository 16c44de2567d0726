"""Which load is held back, for how long, and what that saves: decisions with the time as an input."""
