"""The one hash of text in several languages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence


def fingerprint(sentences: Mapping[str, Sequence[str]]) -> str:
    """SHA-256 over languages and text, in hexadecimal.

    Depends on the codes and on every character, not on the order of the languages.
    """
    digest = hashlib.sha256(b"ilo_fast.ParallelCorpus.1")
    for code in sorted(sentences):
        # Lengths first, so that no two corpora can run together to the same bytes.
        lines = [line.encode("utf-8", "surrogatepass") for line in sentences[code]]
        lengths = ",".join(str(len(line)) for line in lines)
        digest.update(f"\0{code}\0{lengths}\0".encode())
        digest.update(b"".join(lines))
    return digest.hexdigest()
