"""What a source tells of a run, brought into the database and compared with it."""
