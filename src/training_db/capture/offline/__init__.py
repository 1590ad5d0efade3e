"""Runs out of the logs that W&B leaves on disk: read, found, imported and followed."""
