"""Files, hashes, locks, messages, progress: tools of every room. Imports none of them."""
