"""Figures and reports of runs, to look at."""
