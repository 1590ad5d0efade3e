"""What happened in the trainings of a database."""
