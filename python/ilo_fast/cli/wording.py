"""The library's messages in the words of the command line: ``n_neighbors=9`` -> ``-k 9``.

The library speaks of keywords. Whoever typed flags reads of flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_VALUE: Final = r"(?:=('[^']*'|\"[^\"]*\"|\[[^\]]*\]|\([^)]*\)|[^\s,:;()]*))"
# What no rule can know: a keyword whose flag has another name or another sense.
_PHRASES: Final = (
    ("pass cache=True (or a folder) to keep them on disk", "leave out --no-cache"),
    ("set freeze_embeddings=False", "add --no-freeze-embeddings"),
    ("set freeze_head=False", "add --no-freeze-head"),
    ("freeze_embeddings=False", "--no-freeze-embeddings"),
    ("freeze_head=False", "--no-freeze-head"),
    ("overlap_options: ", ""),
    ("overwrite=True", "--overwrite"),
    ("trust_remote_code=True", "--trust-remote-code"),
    ("allow_unknown=True", "--allow-unknown"),
    ("parallel=True", "--parallel"),
    ("output_dir", "-o"),
    ("positions=", "--at "),
)


def in_flags(text: str, flags: Iterable[str]) -> str:
    """``text`` with flags for keywords, as far as the command has them.

    Parameters
    ----------
    text
        A message of the library.
    flags
        Those of the command: ``--n-neighbors``.
    """
    # Where the library says both, the flag is enough.
    text = re.sub(r"(?<![\w.'/-])[a-z_]+(?:=\w*)? \(command line: (-[^)]*)\)", r"\1", text)
    known = {flag[2:].replace("-", "_"): flag for flag in flags if flag.startswith("--")}
    for phrase, replacement in _PHRASES:
        flag = re.search(r"--?[a-z-]+", replacement)
        if flag is None or flag[0] in flags:
            text = text.replace(phrase, replacement)

    def with_value(match: re.Match[str]) -> str:
        flag, value = known.get(match[1]), match[2].strip("'\"")
        if flag is None:
            return match[0]
        stop = "." if value.endswith(".") else ""
        value = value.removesuffix(".")
        return (f"{flag} {value}" if value else flag) + stop

    def alone(match: re.Match[str]) -> str:
        return known.get(match[0], match[0])

    text = re.sub(rf"(?<![\w.'/-])([a-z][a-z_]*){_VALUE}", with_value, text)
    text = re.sub(r"(?<![\w.'/-])[a-z]+(?:_[a-z]+)+(?![\w.'/=-])", alone, text)
    # A single word is a keyword only where the message begins with it and says what it holds.
    return re.sub(r"^[a-z]+(?= (?:holds|must|is empty|names)\b)", alone, text)
