"""What the services share: contracts (who says what), the actor runtime, and fakes for tests."""

__version__ = "0.1.0"
