"""Whether a run became worse than a baseline."""
