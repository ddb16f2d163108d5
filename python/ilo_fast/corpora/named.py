"""The data sets on the Hugging Face Hub that are known by name.

Their layouts were learnt from documentation and public code, without access to the Hub:

flores200
    ``mteb/flores``: Parquet, one column per FLORES-200 code, splits ``dev`` (997 sentences) and
    ``devtest`` (1012), not gated. The original ``facebook/flores`` was a loading script, which
    ``datasets`` >= 4 does not run.
flores+
    ``openlanguagedata/flores_plus``: one configuration per code, columns ``id`` and ``text`` among
    others, splits ``dev`` and ``devtest`` (some languages have only one). Gated: its terms must be
    accepted.
ntrex128
    ``mteb/NTREX``: Parquet, one column per language, split ``test`` (1997), not gated. Some columns
    are named by macrolanguage (``lav_Latn``), or by a script that is not the text's (``mon_Mong``
    is Cyrillic, ``orm_Ethi`` is Latin).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ilo_fast.corpora.hub import HubSource, read_hub
from ilo_fast.corpora.languages import FLORES_PLUS_CODES, NAMED_SETS, resolve_codes
from ilo_fast.errors import AccessError, CorpusError

CORPUS_NAMES: Final[tuple[str, ...]] = ("demo", "flores200", "flores+", "ntrex128")
"""The names that `ilo_fast.ParallelCorpus.load` knows."""

# Code here -> column of mteb/NTREX, where they differ.
_NTREX_COLUMNS: Final[Mapping[str, str]] = {
    "als_Latn": "sqi_Latn",
    "azj_Latn": "aze_Latn",
    "gaz_Latn": "orm_Ethi",
    "khk_Cyrl": "mon_Mong",
    "lvs_Latn": "lav_Latn",
    "npi_Deva": "nep_Deva",
    "pbt_Arab": "pus_Arab",
    "pes_Arab": "fas_Arab",
    "plt_Latn": "mlg_Latn",
    "swh_Latn": "swa_Latn",
    "tgl_Latn": "fil_Latn",
    "uzn_Latn": "uzb_Latn",
    "zsm_Latn": "msa_Latn",
}


def check_only_named(path: str, **arguments: str | None) -> None:
    """Raise a CorpusError where an argument for data sets of the Hub is given with another text."""
    for argument, value in arguments.items():
        if value is not None:
            raise CorpusError(
                f"{argument}={value!r} fits only named data sets "
                f"({', '.join(CORPUS_NAMES[1:])}), not {path!r}; leave it out"
            )


def no_such_corpus(given: object) -> AccessError:
    """What to say of what is neither a name nor a path."""
    return AccessError(
        f"corpus {str(given)!r} is neither a folder (one <code>.txt per language, one sentence "
        f"per line), nor a table, nor a known name; names: {', '.join(CORPUS_NAMES)}"
    )


def read_named(
    name: str,
    languages: str | Sequence[str] | None,
    *,
    split: str | None,
    revision: str | None,
    progress: bool,
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...] | None, dict[str, Any]]:
    """Read a data set that `named_source` knows, as `ilo_fast.corpora.hub.read_hub` does."""
    codes = None if languages is None else resolve_codes(languages)
    return read_hub(named_source(name, codes, split=split, revision=revision), progress=progress)


def named_source(
    name: str,
    languages: Sequence[str] | None,
    *,
    split: str | None = None,
    revision: str | None = None,
) -> HubSource:
    """Where a named data set lies on the Hub.

    Parameters
    ----------
    name
        ``flores200``, ``flores+`` or ``ntrex128``.
    languages
        Codes; None: all that the data set has.
    split
        None: ``devtest`` for FLORES, ``test`` for NTREX-128.
    revision
        Branch, tag or commit.

    Raises
    ------
    CorpusError
        A split that the data set does not have.
    """
    splits = ("test",) if name == "ntrex128" else ("devtest", "dev")
    if split is not None and split not in splits:
        raise CorpusError(f"split={split!r}: {name} has {' and '.join(splits)}")
    codes = NAMED_SETS[name] if languages is None else languages
    split = split or splits[0]
    skip = languages is None
    if name == "flores+":
        return HubSource(
            "openlanguagedata/flores_plus",
            split,
            configs={code: FLORES_PLUS_CODES.get(code, code) for code in codes},
            text_column="text",
            id_column="id",
            revision=revision,
            skip_missing=skip,
        )
    dataset_id, renamed = {
        "flores200": ("mteb/flores", {}),
        "ntrex128": ("mteb/NTREX", _NTREX_COLUMNS),
    }[name]
    columns = {code: renamed.get(code, code) for code in codes}
    return HubSource(dataset_id, split, columns=columns, revision=revision, skip_missing=skip)
