"""Features that fire on the last piece of a word and carry the whole word."""
