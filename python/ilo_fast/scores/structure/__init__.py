"""Which language neighbours which, the shared core and its fragments, a map of the points."""
