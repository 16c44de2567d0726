"""Starts the watch."""

from services.watch.command import watch

if __name__ == "__main__":
    watch()
