"""The content hash of text in several languages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


def fingerprint(sentences: Mapping[str, Sequence[str]]) -> str:
    """SHA-256 over languages and text, in hexadecimal.

    Depends on the codes and on every character, not on the order of the languages.
    """
    sha = hashlib.sha256(b"ilo_fast.ParallelCorpus.1")
    for code in sorted(sentences):
        sha.update(f"\0{code}".encode())
        add_words(sha, sentences[code])
    return sha.hexdigest()


def add_words(sha: Any, words: Sequence[str]) -> None:
    """Feed strings to a hash, their lengths first, so that ("ab", "c") differs from ("a", "bc")."""
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    sha.update(("\0" + ",".join(str(len(word)) for word in encoded) + "\0").encode())
    sha.update(b"".join(encoded))
