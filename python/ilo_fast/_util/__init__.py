"""Files, hashes, folders, messages, progress: what every room needs. It knows nobody."""
