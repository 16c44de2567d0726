"""What a meter's bytes mean: pure, synchronous, and never surprised."""
