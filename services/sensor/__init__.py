"""The sensor: reads the meter on the incoming supply and says what the home draws."""
