"""Which runs and scaffolds are best by several objectives."""
