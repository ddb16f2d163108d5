"""Whether a transcoder is any good, by layer and by language."""
