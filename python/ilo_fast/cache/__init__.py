"""The cache of representations: keyed by the content of all that they depend on."""

from ilo_fast.cache.contents import CacheEntry, clear, list_entries
from ilo_fast.cache.store import FORMAT, CacheWriter, Entry, Store, default_cache_dir

__all__ = [
    "FORMAT", "CacheEntry", "CacheWriter", "Entry", "Store", "clear", "default_cache_dir",
    "list_entries",
]  # fmt: skip
