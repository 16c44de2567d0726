"""What a cluster for many homes, and each home that joins it, is given."""
