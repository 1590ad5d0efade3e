"""Live W&B runs: mirrored as they go, or captured when they end."""
