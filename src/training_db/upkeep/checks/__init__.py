"""The checks of ``training-db doctor``, a file a question."""
