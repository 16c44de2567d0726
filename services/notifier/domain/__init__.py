"""What is worth a message, to whom and when, and what becomes of it: pure, and without a clock of its own."""
