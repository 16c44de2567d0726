"""Switches the relays, and refuses what would not be safe."""
