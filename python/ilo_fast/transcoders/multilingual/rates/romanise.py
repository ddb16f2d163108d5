"""Text in Latin script, whatever script it is in: the control for features of a script."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, overload

from ilo_fast._util.optional import require
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus

LATIN = "Latn"


def script_of(code: str) -> str:
    """The script in a language code: ``Cyrl`` of ``rus_Cyrl``."""
    parts = code.split("_")
    if len(parts) < 2 or len(parts[1]) != 4:
        raise ValueError(f"{code!r} names no script: wanted a code such as rus_Cyrl")
    return parts[1]


def romanised_code(code: str) -> str:
    """The same language in Latin script: ``rus_Latn`` of ``rus_Cyrl``."""
    parts = code.split("_")
    return "_".join([parts[0], LATIN, *parts[2:]]) if script_of(code) else code


@overload
def romanised(texts: ParallelCorpus, *, progress: bool = False) -> ParallelCorpus: ...
@overload
def romanised(
    texts: Mapping[str, Sequence[str]], *, progress: bool = False
) -> dict[str, list[str]]: ...
def romanised(
    texts: ParallelCorpus | Mapping[str, Sequence[str]], *, progress: bool = False
) -> ParallelCorpus | dict[str, list[str]]:
    """The same lines in Latin script, by uroman (needs ``ilo_fast[romanise]``).

    Parameters
    ----------
    texts
        Codes name their script, ``rus_Cyrl``. Those in Latin script stay as they are.
    progress
        A bar on stderr: some milliseconds per line.

    Returns
    -------
    ParallelCorpus or dict
        As given; codes as ``rus_Latn``. uroman writes what is read aloud where a table knows it:
        vowels of Devanagari are there, those of Hebrew and Arabic are not, and words of Chinese or
        Thai are not parted.

    Raises
    ------
    ImportError
        uroman is missing.
    ValueError
        A code names no script; a language would have one code with another: leave one out.

    Notes
    -----
    This project uses the universal romanizer software 'uroman' written by Ulf Hermjakob, USC
    Information Sciences Institute (2015-2020). Hermjakob, May and Knight, ACL 2018.
    """
    lines = texts.sentences if isinstance(texts, ParallelCorpus) else texts
    names = {code: romanised_code(code) for code in lines}
    for code, name in names.items():
        if list(names.values()).count(name) > 1:
            same = [other for other in names if names[other] == name]
            raise ValueError(f"texts has {' and '.join(same)}, which both become {name}")
        if not isinstance(code, str):
            raise TypeError(f"texts must have codes, got {code!r}")
    foreign = [code for code in lines if script_of(code) != LATIN]
    total = sum(len(lines[code]) for code in foreign)
    found = {names[code]: list(own) for code, own in lines.items()}
    if foreign:
        romaniser = _romaniser()
        with cost_bar(progress, "romanising", cost=total, items=total, unit="line") as bar:
            for code in foreign:
                language = code.split("_")[0]
                out = found[names[code]]
                for at, text in enumerate(out):
                    out[at] = str(romaniser.romanize_string(text, lcode=language))
                    bar.advance(1, 1)
    if not isinstance(texts, ParallelCorpus):
        return found
    return ParallelCorpus(
        {code: tuple(own) for code, own in found.items()},
        name=f"{texts.name}, romanised",
        source={
            **texts.source,
            "romanised": {"languages": foreign, "by": f"uroman {version('uroman')}"}
            if foreign
            else None,
        },
        groups=texts.groups,
        allow_unknown=True,
    )


@functools.cache  # its tables take seconds to read
def _romaniser() -> Any:
    require("uroman", "romanise")
    from uroman import Uroman

    return Uroman()
