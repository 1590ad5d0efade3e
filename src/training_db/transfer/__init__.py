"""Whole databases, from one place to another and into files for other tools."""
