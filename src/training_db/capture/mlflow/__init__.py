"""Runs out of the database of MLflow."""
