"""What stands on the page of a run, of a comparison and of a project."""
