"""A conversion run that can be stopped at any moment and resumes where it stopped."""
