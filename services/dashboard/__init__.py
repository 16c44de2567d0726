"""The local page: the home, live, with no internet."""
