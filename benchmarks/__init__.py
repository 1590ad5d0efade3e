"""``make bench``: the library beside the bare drivers, as ratios taken in one run."""
