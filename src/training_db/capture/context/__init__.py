"""WandBContext: what a pipeline of several programs logs."""
