"""`hems doctor`: looks at everything that can stand in the way, and says what to do about it."""
