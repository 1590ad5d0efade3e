"""Which settings matter for what runs came to."""
