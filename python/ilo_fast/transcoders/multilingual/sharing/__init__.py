"""Features that translations have in common, and both notions of a shared space in one table."""
