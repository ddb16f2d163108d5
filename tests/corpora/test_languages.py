"""The table of languages: complete, consistent, and helpful about what it lacks."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ilo_fast.corpora.languages import (
    FLORES_PLUS_CODES,
    LANGUAGES,
    NAMED_SETS,
    NTREX_CODES,
    PAPER_31,
    REGIONS,
    Language,
    aliases,
    candidates,
    describe_language,
    find_language,
    iso_codes,
    other_names,
    resolve_code,
    resolve_codes,
    suggest_codes,
)
from ilo_fast.errors import CorpusError

# One entry a class of the taxonomy, read off its list; and some that are easily got wrong.
CLASSES = {
    "eng_Latn": 5,
    "arb_Arab": 5,
    "zho_Hans": 5,
    "hin_Deva": 4,
    "srp_Cyrl": 4,
    "ukr_Cyrl": 3,
    "ceb_Latn": 3,
    "arz_Arab": 3,
    "gle_Latn": 2,
    "swh_Latn": 2,
    "yue_Hant": 1,
    "min_Latn": 1,
    "tel_Telu": 1,
    "ban_Latn": 0,
    "fuv_Latn": 0,
    "acm_Arab": None,
    "kea_Latn": None,
}


def test_sets_have_their_published_sizes() -> None:
    assert len(NAMED_SETS["flores200"]) == 204
    assert len(PAPER_31) == 31
    assert len(LANGUAGES) >= 204
    assert len(NAMED_SETS["ntrex128"]) == len(NTREX_CODES) == 122


def test_sets_hold_known_codes_only() -> None:
    for codes in NAMED_SETS.values():
        assert set(codes) <= set(LANGUAGES)
        assert len(set(codes)) == len(codes)
    assert set(PAPER_31) <= set(NAMED_SETS["flores200"])
    assert set(NTREX_CODES.values()) == set(NAMED_SETS["ntrex128"])
    assert set(FLORES_PLUS_CODES) <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=list(LANGUAGES))
def test_every_row_is_complete(language: Language) -> None:
    iso639_3, script = language.code.split("_")
    assert len(iso639_3) == 3 and iso639_3.islower()
    assert script == language.script and len(script) == 4 and script.istitle()
    assert language.name == language.name.strip() != ""
    assert language.family and language.region in REGIONS
    assert language.resource_class in {None, 0, 1, 2, 3, 4, 5}
    assert (language.resource_class is None) == (language.taxonomy_entry is None)
    assert language.iso639_1 is None or len(language.iso639_1) == 2
    assert language.word_order in {None, "SOV", "SVO", "VSO", "VOS", "no dominant order"}
    assert (language.word_order is None) == (language.wals_code is None)
    assert LANGUAGES[language.code] is language


def test_names_tell_languages_apart() -> None:
    names = [language.name for language in LANGUAGES.values()]
    assert len(set(names)) == len(names)


def test_columns_of_one_language_agree() -> None:
    by_entry: dict[str, set[int | None]] = {}
    by_language: dict[str, set[tuple[str, str, int | None, str | None]]] = {}
    families: dict[str, set[str]] = {}
    for lang in LANGUAGES.values():
        if lang.taxonomy_entry:
            by_entry.setdefault(lang.taxonomy_entry, set()).add(lang.resource_class)
        columns = (lang.family, lang.branch, lang.resource_class, lang.word_order)
        by_language.setdefault(lang.code[:3], set()).add(columns)
        if lang.branch:
            families.setdefault(lang.branch, set()).add(lang.family)
    assert {entry for entry, classes in by_entry.items() if len(classes) > 1} == set()
    # Scripts of a language differ in nothing but the script.
    assert {code for code, columns in by_language.items() if len(columns) > 1} == set()
    assert {branch for branch, of in families.items() if len(of) > 1} == set()
    assert {language.region for language in LANGUAGES.values()} == set(REGIONS)


@pytest.mark.parametrize(("code", "expected"), CLASSES.items())
def test_resource_class_is_that_of_the_taxonomy(code: str, expected: int | None) -> None:
    assert LANGUAGES[code].resource_class == expected


@pytest.mark.parametrize(
    ("order", "codes"),
    {  # as WALS 81A has them
        "SOV": "ben_Beng hin_Deva jpn_Jpan sin_Sinh tel_Telu urd_Arab",
        "SVO": "ces_Latn dan_Latn eng_Latn fra_Latn ind_Latn pol_Latn rus_Cyrl slv_Latn spa_Latn "
        "srp_Cyrl sun_Latn swe_Latn swh_Latn tha_Thai ukr_Cyrl yue_Hant zho_Hans",
        "VSO": "gle_Latn tgl_Latn",
        "no dominant order": "deu_Latn min_Latn nld_Latn",
        None: "ban_Latn bjn_Latn jav_Latn",
    }.items(),
)
def test_word_order_of_the_paper_s_languages_is_that_of_wals(order: str | None, codes: str) -> None:
    assert {code for code in PAPER_31 if LANGUAGES[code].word_order == order} == set(codes.split())


def test_most_languages_have_a_class() -> None:
    lacking = [c for c in NAMED_SETS["flores200"] if LANGUAGES[c].resource_class is None]
    assert len(lacking) == 13
    assert not set(lacking) & set(PAPER_31)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("en", "eng_Latn"),
        ("english", "eng_Latn"),
        ("English", "eng_Latn"),
        ("eng", "eng_Latn"),
        ("eng-Latn", "eng_Latn"),
        ("ENG_LATN", "eng_Latn"),
        ("en_US", "eng_Latn"),
        ("deu_Lat", "deu_Latn"),
        ("ger", "deu_Latn"),
        ("portugese", "por_Latn"),
        ("Norwegian Bokmal", "nob_Latn"),
        ("sr-Latn", "srp_Latn"),
        ("Arabic", "arb_Arab"),
        ("zho-TW", "zho_Hant"),
    ],
)
def test_likeliest_code_is_suggested_first(typed: str, meant: str) -> None:
    assert suggest_codes(typed)[0] == meant


@pytest.mark.parametrize("typed", ["zh", "zho_CN", "zho", "chinese", "chi"])
def test_ambiguous_name_suggests_both_scripts(typed: str) -> None:
    assert set(suggest_codes(typed)) == {"zho_Hans", "zho_Hant"}


@pytest.mark.parametrize("typed", ["", " ", "README", "qqqqqq", "12345"])
def test_text_that_is_near_nothing_gets_no_suggestion(typed: str) -> None:
    assert suggest_codes(typed) == ()


def test_unknown_code_says_what_to_do() -> None:
    with pytest.raises(CorpusError, match=r"'en_XXX': did you mean eng_Latn\?.*ilo-fast languages"):
        resolve_codes("en_XXX")
    with pytest.raises(CorpusError, match="no known code is near"):
        resolve_codes("xxxxxxxx")
    for typo, meant in (("paper32", "paper31"), ("Flores-200", "flores200"), ("ntrex", "ntrex128")):
        with pytest.raises(CorpusError, match=rf"did you mean {meant}\?"):
            resolve_codes(typo)


def test_codes_and_sets_are_resolved_in_order() -> None:
    assert resolve_codes("deu_Latn") == ("deu_Latn",)
    assert resolve_codes("deu_Latn, eng_Latn,deu_Latn,") == ("deu_Latn", "eng_Latn")
    assert resolve_codes("paper31") == resolve_codes(["Paper31"]) == PAPER_31
    assert resolve_codes(["zul_Latn", "paper31,eng_Latn"]) == ("zul_Latn", *PAPER_31)
    assert resolve_codes(["xx", "eng_Latn"], allow_unknown=True) == ("xx", "eng_Latn")
    assert resolve_codes("en, de-DE,eng", allow_unknown=True) == ("eng_Latn", "deu_Latn")
    assert resolve_codes("zh", allow_unknown=True) == ("zh",)


MEANT = {
    **dict.fromkeys(("en", "eng", "EN", "eng-Latn", "ENG_LATN", "eng_latn"), "eng_Latn"),
    **dict.fromkeys(("en-GB", "en_us", "eng-IN", "en-Latn-US"), "eng_Latn"),
    **dict.fromkeys(("zh-Hans", "zh_CN", "zho-CN", "zho_Hans", "zh-Hans-CN", "cmn-CN"), "zho_Hans"),
    **dict.fromkeys(("zh-TW", "zh_HK", "zho-TW", "zh-Hant", "zh-Hant-HK", "chi-TW"), "zho_Hant"),
    **dict.fromkeys(("pt", "pt_BR", "pt-PT", "por"), "por_Latn"),
    **dict.fromkeys(("fa", "fas", "per", "fa-IR"), "pes_Arab"),
    **{"cmn_Hans": "cmn_Hans", "fa-AF": "prs_Arab", "nb": "nob_Latn", "nn": "nno_Latn"},
    **{"ar": "arb_Arab", "ara": "arb_Arab", "arb": "arb_Arab", "sr-Latn": "srp_Latn"},
    **{"ko-Kore": "kor_Hang", "iw": "heb_Hebr", "in": "ind_Latn", "ger": "deu_Latn"},
    **{"sw": "swh_Latn", "swa": "swh_Latn", "sqi": "als_Latn", "es-419": "spa_Latn"},
    **{"tl": "tgl_Latn", "fil": "fil_Latn", "yue": "yue_Hant", "sat": "sat_Olck"},
    **{"twi_Latn_akua1239": "twi_Latn", "apc_Arab_sout3123": "ajp_Arab"},  # FLORES+
}
AMBIGUOUS = {
    **dict.fromkeys(("zh", "zho", "chi", "cmn"), ("zho_Hans", "zho_Hant")),
    **dict.fromkeys(("sr", "srp"), ("srp_Cyrl", "srp_Latn")),
    **dict.fromkeys(("no", "nor"), ("nob_Latn", "nno_Latn")),
    **{"ku": ("kmr_Latn", "ckb_Arab"), "ace": ("ace_Arab", "ace_Latn")},
    "sr-RS": ("srp_Cyrl_RS", "srp_Latn_RS"),
}


@pytest.mark.parametrize(("name", "code"), MEANT.items())
def test_iso_codes_and_tags_lead_to_the_one_canonical_code(name: str, code: str) -> None:
    assert resolve_codes(name) == (code,) and resolve_code(name) == code
    assert iso_codes(name)["script"] == code[4:]


@pytest.mark.parametrize(("name", "meant"), AMBIGUOUS.items())
def test_ambiguous_code_is_refused_with_its_candidates(name: str, meant: tuple[str, ...]) -> None:
    assert candidates(name) == meant and resolve_code(name) is None
    with pytest.raises(CorpusError, match=f"{name}' is ambiguous: it may mean {', '.join(meant)}"):
        resolve_codes(name)


@pytest.mark.parametrize(
    "name", ["", "xx", "english", "en_train", "en-x-own", "en_US.UTF-8", "en_", "_", "README", "e"]
)
def test_what_is_no_code_means_nothing(name: str) -> None:
    assert candidates(name) == () and set(iso_codes(name).values()) == {None}


def test_variant_is_kept_where_a_corpus_tells_variants_apart() -> None:
    known = ("eng_Latn", "eng_Latn_GB", "por_Latn")
    assert resolve_codes("en-GB, pt-BR", known=known) == ("eng_Latn_GB", "por_Latn")
    assert resolve_codes("en-US", known=known) == ("eng_Latn_US",)  # which it lacks
    assert resolve_codes("eng_Latn_GB") == ("eng_Latn_GB",)  # canonical
    british = find_language("eng_Latn_GB")
    assert british is not None and british.name == "English (GB)"
    assert describe_language("eng_Latn_GB")["family"] == "Indo-European"
    assert find_language("eng_Latn_oops") is None and find_language("x-own") is None


def test_other_names_are_those_of_tokenizers() -> None:
    names = other_names("zho_Hans")
    assert names[0] == "cmn_Hans" and {"zh", "zho", "cmn", "zho-CN", "chi"} <= set(names)
    assert other_names("eng_Latn_GB") == ("eng", "en")
    assert other_names("x-own") == ("x-own",)
    assert aliases("zho_Hans") == ("zh-Hans",) and aliases("deu_Latn") == ("de", "deu", "ger")


def test_canonical_codes_resolve_to_themselves_and_bare_ones_never_to_another_language() -> None:
    for code in LANGUAGES:
        assert candidates(code) == candidates(code.lower()) == (code,)
        assert iso_codes(code)["iso639_3"] == code[:3]
        assert code in candidates(code[:3]) or code[:4] in {"cmn_", "sat_", "arb_"}
        for alias in aliases(code):
            assert resolve_code(alias) == code


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("eng_Latn,zh", "'zh' is ambiguous: it may mean zho_Hans, zho_Hant"),
        ("", "names no language"),
        ([], "names no language"),
        (" , ", "names no language"),
        ([3], r"got 3 \(int\)"),
    ],
)
def test_codes_and_sets_that_are_unknown_are_refused(spec: str | list[str], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        resolve_codes(spec)


def test_table_cannot_be_changed() -> None:
    language = LANGUAGES["eng_Latn"]
    with pytest.raises(AttributeError):
        language.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        LANGUAGES["x"] = language  # type: ignore[index]
    assert pickle.loads(pickle.dumps(language)) == language


def test_paper31_is_the_real_corpus(corpora: Path) -> None:
    files = (corpora / "flores200_devtest").glob("*.txt")
    assert tuple(sorted(file.stem for file in files)) == PAPER_31
