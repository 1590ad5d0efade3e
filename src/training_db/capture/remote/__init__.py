"""Runs of a server of W&B, by its public API."""
