"""Programs of atheris, which the tests start: each looks for input that ends in a wrong error."""

SEPARATOR = b"\xff\xfe\xfd"
"""Stands between the records of a fuzzed log."""
