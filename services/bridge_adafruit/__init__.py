"""Mirrors the home on an Adafruit IO dashboard and brings its toggles, hooks and voice commands home."""
