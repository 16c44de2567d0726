"""The services: each an actor that shares nothing with the others but messages."""
