"""Runs of the database written as W&B writes its own."""
