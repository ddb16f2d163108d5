"""Features of single languages, found and tested apart, and what switching them off does."""
