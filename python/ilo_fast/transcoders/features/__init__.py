"""Features beyond one prompt: where they are active, in which languages, what they are for."""
