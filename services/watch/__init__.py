"""The home in a terminal, live: `hems watch`."""
