"""What one curve, or several of one run, tell: functions on arrays."""
