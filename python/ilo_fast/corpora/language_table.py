"""The languages: code, name, script, family, region, resource class and word order.

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
wals_code, word_order
    Feature 81A of WALS, "Order of Subject, Object and Verb": Matthew S. Dryer,
    in Dryer and Haspelmath (eds.), The World Atlas of Language Structures
    Online, 2013, https://wals.info/chapter/81, CC BY 4.0. Taken from
    ``raw/valueset.csv`` and ``raw/value.csv`` of github.com/cldf-datasets/wals
    at v2020.4 (commit 3a9efd6) for the languages that WALS gives the ISO 639-3
    code of the row; also Mandarin for Chinese, Serbian-Croatian for Serbian,
    Croatian and Bosnian, and Norwegian, Latvian, Estonian and Albanian for
    their standard languages. No other language was taken for a relative of it,
    so that 84 of the 239 rows have none (Javanese, Banjar and Balinese among
    the 31 of `PAPER_31`). ``wals_code`` is the code there.
ntrex_code
    The code in the file names of NTREX-128, for languages where it names one
    row here without doubt.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Final

GROUPINGS: Final[tuple[str, ...]] = ("resource_class", "family", "region", "script", "word_order")
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
    word_order
        ``SOV``, ``SVO``, ``VSO``, ``VOS``, ``OVS``, ``OSV`` or ``no dominant
        order`` of subject, object and verb in WALS (feature 81A), or None
        where WALS has no value.
    wals_code
        The language in WALS that gave `word_order`, or None.
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
    word_order: str | None = field(default=None, kw_only=True)
    wals_code: str | None = field(default=None, kw_only=True)


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
            word_order=row["word_order"] or None,
            wals_code=row["wals_code"] or None,
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
