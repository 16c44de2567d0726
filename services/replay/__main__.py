"""Plays a recorded home: `python -m services.replay`."""

from services.replay.command import replay

if __name__ == "__main__":
    replay()
