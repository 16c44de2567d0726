"""The history's revisions, applied in order at start."""
