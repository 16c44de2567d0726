"""What the doctor judges, and what it keeps to itself."""
