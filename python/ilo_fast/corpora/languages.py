"""Languages by every name that people give them: one canonical code for each.

The canonical code is that of FLORES, ``eng_Latn``; where a corpus tells regions or dialects apart,
with the variant behind it: ``eng_Latn_GB``. ISO 639-1 (``en``), ISO 639-2 and 639-3 (``eng``,
``ger``) and BCP-47 tags (``en-GB``, ``zh-Hans``) lead to it where they mean one language in one
script here; else they are ambiguous, and their candidates are listed.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from ilo_fast.corpora.language_table import (
    FLORES_PLUS_CODES,
    GROUPINGS,
    LANGUAGES,
    NAMED_SETS,
    NTREX_CODES,
    PAPER_31,
    REGIONS,
    Language,
)
from ilo_fast.errors import CorpusError

__all__ = [
    "FLORES_PLUS_CODES",
    "GROUPINGS",
    "LANGUAGES",
    "NAMED_SETS",
    "NTREX_CODES",
    "PAPER_31",
    "REGIONS",
    "Language",
    "aliases",
    "candidates",
    "describe_language",
    "did_you_mean",
    "find_language",
    "iso_codes",
    "language_coordinates",
    "other_names",
    "resolve_code",
    "resolve_codes",
    "suggest_codes",
    "without_variant",
]

# ISO 639-2/B codes that differ from ISO 639-3, codes of macrolanguages whose standard variety is
# here, and withdrawn codes -> the ISO 639-1 code of the same.
_SAME_AS: Final[Mapping[str, str]] = {
    "alb": "sq", "arm": "hy", "baq": "eu", "bur": "my", "chi": "zh", "cze": "cs", "dut": "nl",
    "fre": "fr", "geo": "ka", "ger": "de", "gre": "el", "ice": "is", "mac": "mk", "mao": "mi",
    "may": "ms", "per": "fa", "rum": "ro", "slo": "sk", "tib": "bo", "wel": "cy", "ara": "ar",
    "aze": "az", "fas": "fa", "lav": "lv", "mlg": "mg", "mon": "mn", "msa": "ms", "nep": "ne",
    "ori": "or", "orm": "om", "pus": "ps", "que": "qu", "sqi": "sq", "swa": "sw", "uzb": "uz",
    "yid": "yi", "aym": "ay", "iw": "he", "in": "id", "ji": "yi", "cmn": "zh",
}  # fmt: skip

# Macrolanguages of which several members are here, none of them the standard.
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("no", "nor"), ("nob_Latn", "nno_Latn")),
    **dict.fromkeys(("ku", "kur"), ("kmr_Latn", "ckb_Arab")),
    **dict.fromkeys(("ff", "ful"), ("fuv_Latn", "fuc_Latn")),
    **dict.fromkeys(("kr", "kau"), ("knc_Latn", "knc_Arab")),
    **dict.fromkeys(("sh", "hbs"), ("srp_Cyrl", "srp_Latn", "hrv_Latn", "bos_Latn")),
    "kok": ("gom_Deva",),
    "din": ("dik_Latn",),
    "doi": ("dgo_Deva",),
}

_SCRIPTS: Final[Mapping[str, str]] = {"kore": "hang", "hani": "hant", "aran": "arab"}

# Regions that tell what the language alone does not: the script, or another language. No variant
# is left of them.
_REGIONS: Final[Mapping[tuple[str, str], str]] = {
    **{("zh", region): "zho_Hans" for region in ("cn", "sg", "my")},
    **{("zh", region): "zho_Hant" for region in ("tw", "hk", "mo")},
    ("fa", "af"): "prs_Arab",
    ("ku", "iq"): "ckb_Arab",
    ("ku", "tr"): "kmr_Latn",
    ("az", "ir"): "azb_Arab",
    ("ff", "ng"): "fuv_Latn",
    ("ff", "sn"): "fuc_Latn",
}  # fmt: skip

# More words for suggestions.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "mandarin": "zh", "cantonese": "yue", "farsi": "fa", "persian": "fa", "filipino": "tl",
    "castilian": "es", "punjabi": "pa", "arabic": "ar", "malay": "ms",
}  # fmt: skip

# Of what may follow in a tag: regions, glottocodes (FLORES+), years of orthographies. Any word of
# five letters is a variant to BCP-47; here it is more likely "train".
_SUBTAG: Final = re.compile(r"[a-z]{2}|[0-9]{3}|[a-z]{4}[0-9]{4}|[0-9][a-z0-9]{3}|valencia")
_FLORES_PLUS: Final = {v.lower(): code for code, v in FLORES_PLUS_CODES.items() if v.count("_") > 1}


def _fold(text: str) -> str:
    """Lower case without accents, ``-`` and spaces as ``_``, for comparison only."""
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return plain.replace("-", "_").replace(" ", "_")


def _bare_codes() -> dict[str, tuple[str, ...]]:
    """ISO 639-1, 639-2 or 639-3 code, without a script -> the codes that it may mean."""
    found: dict[str, list[str]] = {}
    for language in LANGUAGES.values():
        iso639_3 = language.code.split("_")[0]
        if language.code != "sat_Beng":  # another label of sat_Olck, not another text
            for key in dict.fromkeys((iso639_3, language.iso639_1 or iso639_3)):
                found.setdefault(key, []).append(language.code)
    bare = {key: tuple(codes) for key, codes in found.items()}
    bare |= {**_MEMBERS, **{key: (c,) for key, c in NTREX_CODES.items() if "-" not in key}}
    return bare | {key: bare[iso639_1] for key, iso639_1 in _SAME_AS.items()}


_BARE: Final = _bare_codes()


def _names() -> dict[str, tuple[str, ...]]:
    """Folded code or name -> codes, for suggestions."""
    found: dict[str, list[str]] = {key: list(codes) for key, codes in _BARE.items()}
    for language in LANGUAGES.values():
        # "Banjar (Latin script)" is also found as "Banjar".
        for key in (language.code, language.name, language.name.split(" (")[0]):
            codes = found.setdefault(_fold(key), [])
            if language.code not in codes:
                codes.append(language.code)
    for other, known in _OTHER_NAMES.items():
        found.setdefault(_fold(other), found[known])
    return {key: tuple(codes) for key, codes in found.items()}


_NAMES: Final = _names()


def candidates(name: str) -> tuple[str, ...]:
    """The canonical codes that a language code or BCP-47 tag may mean, variants kept.

    ``("eng_Latn",)`` for ``en``, ``eng``, ``EN`` and ``eng-Latn``; ``("eng_Latn_GB",)`` for
    ``en-GB``; both scripts for ``zh`` and ``sr``; nothing for what is no code of a known language
    (also for ``english``: names are for `suggest_codes`).
    """
    if name in LANGUAGES:
        return (name,)
    folded = name.lower().replace("-", "_")
    if folded in _FLORES_PLUS:
        return (_FLORES_PLUS[folded],)
    base, *tags = folded.split("_")
    codes = _BARE.get(base, ())
    if tags and len(tags[0]) == 4 and tags[0].isascii() and tags[0].isalpha():
        script = _SCRIPTS.get(tags[0], tags[0])
        exact = f"{base}_{script.title()}"
        codes = tuple(code for code in codes if code[4:].lower() == script)
        codes = (exact,) if exact in LANGUAGES else codes
        tags = tags[1:]
    if not all(map(_SUBTAG.fullmatch, tags)):
        return ()
    if tags:
        same = _SAME_AS.get(base) or LANGUAGES[_BARE[base][0]].iso639_1 if base in _BARE else None
        told = _REGIONS.get((same or base, tags[0])) or _REGIONS.get((base, tags[0]))
        if told and (told in codes or len(_BARE[base]) == len(codes)):
            codes, tags = (told,), tags[1:]
    variant = "".join(f"_{tag.upper() if len(tag) < 4 else tag}" for tag in tags)
    return tuple(code + variant for code in codes)


def without_variant(code: str) -> str:
    """``eng_Latn`` of ``eng_Latn_GB``; any other code as it is."""
    base = "_".join(code.split("_")[:2])
    return base if base in LANGUAGES and candidates(code) == (code,) else code


def find_language(code: str) -> Language | None:
    """What is known of a canonical code, with or without a variant; None of any other."""
    known = LANGUAGES.get(code)
    base = without_variant(code)
    if known is None and base != code:
        known = LANGUAGES[base]
        variant = code.removeprefix(f"{base}_").replace("_", ", ")
        known = dataclasses.replace(known, code=code, name=f"{known.name} ({variant})")
    return known


def iso_codes(code: str) -> dict[str, str | None]:
    """``{"iso639_1": "en", "iso639_3": "eng", "script": "Latn", "region": None}`` of ``eng_Latn``.

    Takes every form of `candidates`; all are None where it is ambiguous or not known.
    """
    meant = candidates(code)
    known = find_language(meant[0]) if len(meant) == 1 else None
    if known is None:
        return dict.fromkeys(("iso639_1", "iso639_3", "script", "region"))
    iso639_3, _, *tags = known.code.split("_")
    return {
        "iso639_1": known.iso639_1 or {"cmn": "zh", "ekk": "et", "gug": "gn"}.get(iso639_3),
        "iso639_3": iso639_3,
        "script": known.script,
        "region": next((tag for tag in tags if len(tag) < 4), None),
    }


def aliases(code: str) -> tuple[str, ...]:
    """The ISO 639 codes that mean `code` and no other, shortest first; else the tag that does."""
    found = [key for key, codes in _BARE.items() if codes == (code,)]
    if not found:
        iso639_3, _, script = code.partition("_")
        short = LANGUAGES[code].iso639_1 if code in LANGUAGES else None
        found = [tag for tag in (f"{short or iso639_3}-{script}",) if candidates(tag) == (code,)]
    return tuple(sorted(found, key=lambda key: (len(key), key)))


def other_names(code: str) -> tuple[str, ...]:
    """How else tokenizers and corpora name the language of a code, the nearest first.

    ``zho_Hans``: ``cmn_Hans``, ``zho-CN``, ``zho``, ``cmn``, ``zh``, ``chi``, ``mandarin``.
    """
    code = without_variant(code)
    plus = {new: old for old, new in FLORES_PLUS_CODES.items()}
    language = LANGUAGES.get(plus.get(code, code), LANGUAGES.get(code))
    full = [name for name in (FLORES_PLUS_CODES.get(code), plus.get(code)) if name]
    names = [*full, *(ntrex for ntrex, known in NTREX_CODES.items() if known == code)]
    names += [name.split("_")[0] for name in (code, *full)]
    if language is not None and language.iso639_1 is not None:
        names.append(language.iso639_1)
        others = {**_SAME_AS, **_OTHER_NAMES}
        names += [name for name, known in others.items() if known == language.iso639_1]
    return tuple(dict.fromkeys(names))


def describe_language(code: str) -> dict[str, Any]:
    """Name, script, family, region and resource class of a code; an unknown one is its own name."""
    known = find_language(code) or Language(code, code, "", "", "", None)
    return {
        "name": known.name,
        "script": known.script,
        "family": known.family,
        "region": known.region,
        "resource_class": known.resource_class,
    }


def language_coordinates(codes: Sequence[str]) -> dict[str, tuple[str, list[Any]] | list[str]]:
    """What is known of languages, as coordinates along an axis ``language``.

    ``language`` holds the codes, ``language_name``, ``script``, ``family``, ``region`` and
    ``resource_class`` what `describe_language` says; -1 is an unknown class.
    """
    known = [describe_language(code) for code in codes]
    found: dict[str, tuple[str, list[Any]] | list[str]] = {"language": list(codes)}
    for key in ("name", "script", "family", "region"):
        name = "language_name" if key == "name" else key
        found[name] = ("language", [one[key] for one in known])
    classes = [one["resource_class"] for one in known]
    found["resource_class"] = ("language", [-1 if c is None else c for c in classes])
    return found


def suggest_codes(text: str, limit: int = 3) -> tuple[str, ...]:
    """Known codes that `text` may stand for, best first.

    Looks at codes and tags, names, and the part before the first ``_`` or ``-`` (``zho_XX`` ->
    ``zho``); else at names that have `text` as a word or begin with it; else at codes and names
    that are spelt alike.

    Parameters
    ----------
    text
        What the user typed.
    limit
        The most that are returned.

    Returns
    -------
    tuple of str
        Codes of `LANGUAGES`; empty where nothing is near.
    """
    typed = _fold(text[:100])
    if not typed:
        return ()
    base, _, script = typed.partition("_")
    exact = [*map(without_variant, candidates(typed)), *_NAMES.get(typed, ())]
    # sr-Latn: the language before the first separator, the script after it first.
    exact += sorted(_NAMES.get(base, ()), key=lambda code: _fold(LANGUAGES[code].script) != script)
    if exact:
        return tuple(dict.fromkeys(exact))[:limit]
    near = [key for key in _NAMES if len(typed) >= 4 and typed in key.split("_")]
    near += [key for key in _NAMES if len(typed) >= 4 and key.startswith(typed)]
    near = near or difflib.get_close_matches(typed, _NAMES, n=limit, cutoff=0.7)
    return tuple(dict.fromkeys(code for key in near for code in _NAMES[key]))[:limit]


def did_you_mean(text: str) -> str:
    """``"did you mean eng_Latn?"``, or "" where no code is near."""
    near = suggest_codes(text)
    return f"did you mean {' or '.join(near)}?" if near else ""


def resolve_code(name: str, known: Collection[str] = ()) -> str | None:
    """The canonical code of a code or tag; None where it is ambiguous or not known.

    The variant of a tag (``en-GB``) is left out, unless `known`, the codes that a corpus has, tell
    variants of the language apart. A canonical code stays, with its variant.
    """
    if name in known or find_language(name) is not None:
        return name
    meant = candidates(name)
    if len(meant) != 1:
        return None
    base = without_variant(meant[0])
    told_apart = any(code != base and without_variant(code) == base for code in known)
    return meant[0] if told_apart else base


def resolve_codes(
    spec: str | Sequence[str], *, allow_unknown: bool = False, known: Collection[str] = ()
) -> tuple[str, ...]:
    """The canonical codes in a list of codes and names of sets.

    Parameters
    ----------
    spec
        One string, or several; each a code or tag as for `candidates`, the name of a set of
        `NAMED_SETS`, or several of these with commas between.
    allow_unknown
        Keep codes that are ambiguous or not known instead of refusing them.
    known
        The codes that a corpus has: taken as they are.

    Returns
    -------
    tuple of str
        In the order given, without duplicates.

    Raises
    ------
    CorpusError
        An unknown code, one that may mean several, or nothing at all.
    """
    if not isinstance(spec, Collection) or isinstance(spec, bytes | Mapping):
        raise CorpusError(
            f"languages must be codes such as 'eng_Latn', got {spec!r} ({type(spec).__name__})"
        )
    codes: dict[str, None] = {}
    for part in [spec] if isinstance(spec, str) else list(spec):
        if not isinstance(part, str):
            raise CorpusError(
                f"languages must be codes such as 'eng_Latn', got {part!r} ({type(part).__name__})"
            )
        for item in filter(None, (piece.strip() for piece in part.split(","))):
            if item.lower() in NAMED_SETS and item not in known:
                codes.update(dict.fromkeys(NAMED_SETS[item.lower()]))
            else:
                code = resolve_code(item, known)
                codes[code or (item if allow_unknown else _refuse(item))] = None
    if not codes:
        raise CorpusError(
            f"languages={spec!r} names no language; give codes such as 'eng_Latn,deu_Latn', "
            f"or a set: {', '.join(NAMED_SETS)}"
        )
    return tuple(codes)


def _refuse(item: str) -> str:
    meant = candidates(item)
    if meant:
        raise CorpusError(f"language code {item!r} is ambiguous: it may mean {', '.join(meant)}")
    sets = difflib.get_close_matches(item[:80].lower(), NAMED_SETS, n=1, cutoff=0.7)
    near = f"did you mean {sets[0]}?" if sets else did_you_mean(item)
    raise CorpusError(
        f"unknown language code {item[:80]!r}: {near or 'no known code is near.'} Codes look like "
        "eng_Latn, en or en-GB; 'ilo-fast languages' lists them. Named sets: "
        f"{', '.join(NAMED_SETS)}."
    )
