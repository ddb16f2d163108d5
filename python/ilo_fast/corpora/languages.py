"""The languages: code, name, script, family, region and resource class.

A language is named by its FLORES code, an ISO 639-3 code and an ISO 15924
script joined by an underscore: ``eng_Latn``, ``zho_Hans``. The table is
``languages.tsv`` beside this file, one row per code, so that it can be read and
corrected without touching code. Where each column comes from:

code, name
    FLORES-200: the list in ``flores200/README.md`` of
    github.com/facebookresearch/flores. FLORES+: ``README.md`` and
    ``CHANGELOG.md`` of github.com/openlanguagedata/flores (release 2.0-rc.3);
    the languages added later follow the copy of that list in
    github.com/ufal/TokCollate. NTREX-128: ``LANGUAGES.tsv`` of
    github.com/MicrosoftTranslator/NTREX. One deviation: the README of
    FLORES-200 labels Santali ``sat_Beng``; the text is in Ol Chiki and the
    data sets say ``sat_Olck``. Both codes are known here, ``flores200`` uses
    ``sat_Olck``.
script
    The second half of the code.
family, branch
    Top-level families, with the names of Glottolog (glottolog.org; thus
    Atlantic-Congo rather than Niger-Congo, Nilotic rather than Nilo-Saharan,
    creoles under the family of their lexifier), except ``Mongolic`` for its
    Mongolic-Khitan, ``Isolate`` for Basque and ``Constructed`` for Esperanto.
    ``branch`` is a customary grouping below the family, empty where the family
    is small. Both columns were written from general knowledge, not generated
    from Glottolog.
region
    Where the language comes from (Portuguese: Europe), one of `REGIONS`:
    UN M49 sub-regions, merged, with Iran in West Asia and Siberia as North
    Asia. Written from general knowledge.
resource_class, taxonomy_entry
    The class 0 (least) to 5 (most) of Joshi, Santy, Budhiraja, Bali and
    Choudhury, "The State and Fate of Linguistic Diversity and Inclusion in the
    NLP World", ACL 2020, arXiv 2004.09095; its list is
    https://microsoft.github.io/linguisticdiversity/assets/lang2tax.txt. That
    list has English names and no codes. ``taxonomy_entry`` is the name that
    was taken for the row, so that every class can be looked up. The list was
    read through two copies, with codes added by others
    (github.com/MaLA-LM/LangResourceAtlas, and ``lang2tax.txt.codes`` in
    github.com/hamid-amir/data_lang2vec), not in the original. The class
    belongs to the language: scripts of one language share it, and an entry for
    a macrolanguage serves its standard variety ("quechua" for ``quy_Latn``),
    but "arabic" serves only Modern Standard Arabic. Where the list has two
    entries for one language ("guarani" 1, "guaraní" 0) the spelling nearest to
    the English name was taken. Where it has none, the class is None.
iso639_1
    From memory of ISO 639; used for suggestions only.
ntrex_code
    The code in the file names of NTREX-128, for languages where it names one
    row here without doubt.
"""

from __future__ import annotations

import csv
import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from ilo_fast.errors import CorpusError

GROUPINGS: Final[tuple[str, ...]] = ("resource_class", "family", "region", "script")
"""What languages can be grouped by."""

REGIONS: Final[tuple[str, ...]] = (
    "Europe", "North Africa", "Sub-Saharan Africa", "West Asia", "Central Asia", "North Asia",
    "South Asia", "Southeast Asia", "East Asia", "Oceania", "Americas", "International",
)  # fmt: skip
"""The regions that occur; ``International`` is Esperanto."""


@dataclass(frozen=True)
class Language:
    """One language in one script.

    Parameters
    ----------
    code
        FLORES code, ``eng_Latn``.
    name
        English name, with the script where the language has several here.
    script
        ISO 15924 code, ``Latn``.
    family
        Top-level family, ``Indo-European``; ``Isolate`` and ``Constructed``
        stand for languages without one.
    region
        One of `REGIONS`.
    resource_class
        0 (least) to 5 (most) of Joshi et al. 2020, arXiv 2004.09095, or None
        where their list has no entry.
    branch
        Customary grouping below the family (``Germanic``), "" where none.
    taxonomy_entry
        The name in the list of Joshi et al. that gave `resource_class`, or None.
    iso639_1
        Two-letter code, or None. Several scripts of a language may share it.
    """

    code: str
    name: str
    script: str
    family: str
    region: str
    resource_class: int | None
    branch: str = field(default="", kw_only=True)
    taxonomy_entry: str | None = field(default=None, kw_only=True)
    iso639_1: str | None = field(default=None, kw_only=True)


def _read_table() -> list[dict[str, str]]:
    table = resources.files("ilo_fast.corpora") / "languages.tsv"
    lines = table.read_text(encoding="utf-8").split("\n")
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


_TABLE: Final = _read_table()

LANGUAGES: Final[Mapping[str, Language]] = MappingProxyType(
    {
        row["code"]: Language(
            code=row["code"],
            name=row["name"],
            script=row["code"].split("_")[1],
            family=row["family"],
            region=row["region"],
            resource_class=int(row["resource_class"]) if row["resource_class"] else None,
            branch=row["branch"],
            taxonomy_entry=row["taxonomy_entry"] or None,
            iso639_1=row["iso639_1"] or None,
        )
        for row in _TABLE
    }
)
"""Every known code, in alphabetical order."""

PAPER_31: Final[tuple[str, ...]] = (
    "ban_Latn", "ben_Beng", "bjn_Latn", "ces_Latn", "dan_Latn", "deu_Latn", "eng_Latn", "fra_Latn",
    "gle_Latn", "hin_Deva", "ind_Latn", "jav_Latn", "jpn_Jpan", "min_Latn", "nld_Latn", "pol_Latn",
    "rus_Cyrl", "sin_Sinh", "slv_Latn", "spa_Latn", "srp_Cyrl", "sun_Latn", "swe_Latn", "swh_Latn",
    "tel_Telu", "tgl_Latn", "tha_Thai", "ukr_Cyrl", "urd_Arab", "yue_Hant", "zho_Hans",
)  # fmt: skip
"""The 31 languages of Wilie et al. 2025, arXiv 2503.11280."""

NAMED_SETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "paper31": PAPER_31,
        **{
            name: tuple(row["code"] for row in _TABLE if name in row["sets"].split())
            for name in ("flores200", "flores+", "ntrex128")
        },
    }
)
"""Sets that may stand for a list of codes."""

NTREX_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {row["ntrex_code"]: row["code"] for row in _TABLE if row["ntrex_code"]}
)
"""Code in the file names of NTREX-128 -> code here (``zho-CN`` -> ``zho_Hans``)."""

FLORES_PLUS_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aka_Latn": "twi_Latn_asan1239",
        "ajp_Arab": "apc_Arab_sout3123",
        "apc_Arab": "apc_Arab_nort3139",
        "est_Latn": "ekk_Latn",
        "grn_Latn": "gug_Latn",
        "kon_Latn": "ktu_Latn",
        "sat_Beng": "sat_Olck",
        "tgl_Latn": "fil_Latn",
        "twi_Latn": "twi_Latn_akua1239",
        "tzm_Tfng": "zgh_Tfng",
        "zho_Hans": "cmn_Hans",
        "zho_Hant": "cmn_Hant",
    }
)
"""Code of FLORES-200 -> what FLORES+ calls the same text, where they differ.

From the changelog of FLORES+ (2.0-rc.1 and rc.2).
"""

# ISO 639-2/B codes that differ from ISO 639-3, and two old or loose ones: suggestions only.
_OTHER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alb": "sq", "arm": "hy", "baq": "eu", "bur": "my", "chi": "zh", "cze": "cs",
        "dut": "nl", "fre": "fr", "geo": "ka", "ger": "de", "gre": "el", "ice": "is",
        "mac": "mk", "mao": "mi", "may": "ms", "per": "fa", "rum": "ro", "slo": "sk",
        "tib": "bo", "wel": "cy", "ara": "ar", "aze": "az", "fas": "fa", "lav": "lv",
        "mlg": "mg", "mon": "mn", "msa": "ms", "nep": "ne", "ori": "or", "orm": "om",
        "pus": "ps", "que": "qu", "sqi": "sq", "swa": "sw", "uzb": "uz", "yid": "yi",
        "iw": "he", "in": "id", "no": "nb", "nor": "nb", "aym": "ay", "kur": "ku",
        "mandarin": "zh", "cantonese": "yue", "farsi": "fa", "persian": "fa",
        "filipino": "tl", "fil": "tl", "castilian": "es", "punjabi": "pa",
        "arabic": "ar", "malay": "ms",
    }
)  # fmt: skip


def _fold(text: str) -> str:
    """Lower case without accents, ``-`` and spaces as ``_``, for comparison only."""
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return plain.replace("-", "_").replace(" ", "_")


def _index() -> dict[str, tuple[str, ...]]:
    """Folded code, bare ISO 639-3 or ISO 639-1 code, or name -> codes."""
    found: dict[str, list[str]] = {}
    for language in LANGUAGES.values():
        iso639_3 = language.code.split("_")[0]
        # "Banjar (Latin script)" is also found as "Banjar".
        names = (language.name, language.name.split(" (")[0])
        for key in (language.code, iso639_3, language.iso639_1 or iso639_3, *names):
            codes = found.setdefault(_fold(key), [])
            if language.code not in codes:
                codes.append(language.code)
    for ntrex_code, code in NTREX_CODES.items():
        found.setdefault(_fold(ntrex_code), [code])
    for other, known in _OTHER_NAMES.items():
        found.setdefault(_fold(other), found[known])
    return {key: tuple(codes) for key, codes in found.items()}


_INDEX: Final = _index()


def suggest_codes(text: str, limit: int = 3) -> tuple[str, ...]:
    """Known codes that `text` may stand for, best first.

    Looks at codes, ISO 639-1 and ISO 639-3 codes, names, the codes of
    NTREX-128 and the part before the first ``_`` or ``-`` (``zho_CN`` ->
    ``zho``); else at names that have `text` as a word or begin with it; else
    at codes and names that are spelt alike.

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
    typed = _fold(text)
    if not typed:
        return ()
    base, _, script = typed.partition("_")
    exact = [*_INDEX.get(typed, ())]
    # zh_CN, sr-Latn: the language before the first separator, the script after it first.
    exact += sorted(_INDEX.get(base, ()), key=lambda code: _fold(LANGUAGES[code].script) != script)
    if exact:
        return tuple(dict.fromkeys(exact))[:limit]
    near = [key for key in _INDEX if len(typed) >= 4 and typed in key.split("_")]
    near += [key for key in _INDEX if len(typed) >= 4 and key.startswith(typed)]
    near = near or difflib.get_close_matches(typed, _INDEX, n=limit, cutoff=0.7)
    return tuple(dict.fromkeys(code for key in near for code in _INDEX[key]))[:limit]


def did_you_mean(text: str) -> str:
    """``"did you mean eng_Latn?"``, or "" where no code is near."""
    near = suggest_codes(text)
    return f"did you mean {' or '.join(near)}?" if near else ""


def describe_language(code: str) -> dict[str, Any]:
    """Name, script, family, region and resource class of a code; an unknown one is its own name."""
    known = LANGUAGES.get(code) or Language(code, code, "", "", "", None)
    return {
        "name": known.name,
        "script": known.script,
        "family": known.family,
        "region": known.region,
        "resource_class": known.resource_class,
    }


def resolve_codes(spec: str | Sequence[str], *, allow_unknown: bool = False) -> tuple[str, ...]:
    """The codes in a list of codes and names of sets.

    Parameters
    ----------
    spec
        One string, or several; each a code, the name of a set of `NAMED_SETS`,
        or several of these with commas between.
    allow_unknown
        Keep codes that are not in `LANGUAGES` instead of refusing them.

    Returns
    -------
    tuple of str
        In the order given, without duplicates.

    Raises
    ------
    CorpusError
        An unknown code, or nothing at all.
    """
    parts = [spec] if isinstance(spec, str) else list(spec)
    codes: dict[str, None] = {}
    for part in parts:
        if not isinstance(part, str):
            raise CorpusError(
                f"languages must be codes such as 'eng_Latn', got {part!r} ({type(part).__name__})"
            )
        for item in filter(None, (piece.strip() for piece in part.split(","))):
            if item.lower() in NAMED_SETS:
                codes.update(dict.fromkeys(NAMED_SETS[item.lower()]))
            elif item in LANGUAGES or allow_unknown:
                codes[item] = None
            else:
                raise CorpusError(
                    f"unknown language code {item!r}: "
                    f"{did_you_mean(item) or 'no known code is near.'} Codes look like eng_Latn "
                    "(ISO 639-3 and ISO 15924); 'ilo-fast languages' lists them. Named sets: "
                    f"{', '.join(NAMED_SETS)}."
                )
    if not codes:
        raise CorpusError(
            f"languages={spec!r} names no language; give codes such as 'eng_Latn,deu_Latn', "
            f"or a set: {', '.join(NAMED_SETS)}"
        )
    return tuple(codes)
