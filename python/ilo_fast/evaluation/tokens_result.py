"""What a tokenizer gives each language, as a result that can be kept and shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import choice, path_of, whole_number
from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.files import write_json
from ilo_fast._util.json_numbers import finite, nested
from ilo_fast._util.messages import counted
from ilo_fast._util.optional import data_frame
from ilo_fast._util.schema import (
    check_schema,
    count_table,
    damage_refused,
    number_table,
    object_of,
    read_result,
    text_of,
    texts_of,
)
from ilo_fast.evaluation.tokens_counting import COUNTED
from ilo_fast.evaluation.tokens_estimates import INEQUALITIES, STATISTICS

Floats = NDArray[np.float64]

SCHEMA_VERSION: Final = 1
_KIND: Final = "ilo_fast.tokens"
_FIX: Final = "count again"
TOKENS_FILE: Final = "tokens.json"


@dataclass(frozen=True, eq=False)
class TokenStatistics:
    """What a tokenizer gives each language, and each script.

    Tokens are counted without special ones. Statistics are ratios of sums over all lines:

    fertility
        Tokens that a word is made of, on average; a token counts where it holds a character of the
        word, so punctuation and the space before a word do not.
    single_token_words
        Share of the words that are one token ("single token retention rate").
    characters_per_token, bytes_per_token
        Unicode code points, and UTF-8 bytes, of the text in form NFC, spaces included.
    premium
        Tokens over those of the same lines in the reference language ("parity", "tokenization
        premium"; Petrov et al., 2023). `premium_median`: the median over lines of that ratio.
    unknown
        Share of tokens that stand for text which the vocabulary lacks.
    partial
        Share of tokens that hold less than a character: bytes of one.

    NaN where there is none: words of languages that are written without spaces between them, a
    premium without parallel text, `partial` of a tokenizer that does not say which characters a
    token holds.

    Attributes
    ----------
    name : str
        Of the tokenizer.
    languages, script : tuple of str
        Codes, and the script of each.
    counts : (languages, len(COUNTED)) int64
        Sums over the lines of what `ilo_fast.evaluation.tokens_counting.COUNTED` names.
    n_lines, n_documents : (languages,) int64
    values : (languages, statistics) float64
        `STATISTICS` of each language.
    intervals : (languages, statistics, 2)
        95 %, by a bootstrap over documents.
    scripts : tuple of str
    script_values, script_intervals : (scripts, statistics), (scripts, statistics, 2)
        Means over the languages of a script that have a value, each counting once.
    inequality : (2,)
        Over the tokens that the languages take for the same text: Gini coefficient (0: all take
        equally many), and the most over the least.
    inequality_intervals : (2, 2)
    reference : str or None
    n_bootstrap, seed : int
    info : dict
        Tokenizer and corpus.
    """

    name: str
    languages: tuple[str, ...]
    script: tuple[str, ...]
    counts: NDArray[np.int64]
    n_lines: NDArray[np.int64]
    n_documents: NDArray[np.int64]
    values: Floats
    intervals: Floats
    scripts: tuple[str, ...]
    script_values: Floats
    script_intervals: Floats
    inequality: Floats
    inequality_intervals: Floats
    reference: str | None
    n_bootstrap: int
    seed: int
    info: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        size = self.info.get("tokenizer", {}).get("vocab_size")
        return (
            f"TokenStatistics({self.name!r}, {size} tokens in the vocabulary, "
            f"{counted(len(self.languages), 'language')})"
        )

    def of(self, statistic: str) -> Floats:
        """(languages,): one of `STATISTICS`."""
        return self.values[:, STATISTICS.index(choice("statistic", statistic, STATISTICS))]

    def interval(self, statistic: str) -> Floats:
        """(languages, 2): of one of `STATISTICS`."""
        return self.intervals[:, STATISTICS.index(choice("statistic", statistic, STATISTICS))]

    def count(self, name: str) -> NDArray[np.int64]:
        """(languages,): the sum over lines of one of `COUNTED`, such as ``"tokens"``."""
        return self.counts[:, COUNTED.index(choice("name", name, COUNTED))]

    def rows(self) -> list[dict[str, Any]]:
        """A record for each language: counts, statistics, and the ends of their intervals."""
        return [
            {
                "tokenizer": self.name,
                "language": code,
                "script": self.script[at],
                "lines": int(self.n_lines[at]),
                "documents": int(self.n_documents[at]),
                **{name: int(n) for name, n in zip(COUNTED, self.counts[at], strict=True)},
                **_named(self.values[at], self.intervals[at]),
            }
            for at, code in enumerate(self.languages)
        ]

    def script_rows(self) -> list[dict[str, Any]]:
        """A record for each script."""
        return [
            {
                "tokenizer": self.name,
                "script": script,
                "languages": self.script.count(script),
                **_named(self.script_values[at], self.script_intervals[at]),
            }
            for at, script in enumerate(self.scripts)
        ]

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def to_csv(self) -> str:
        """`rows` as CSV, floats in full precision, nothing where there is no value."""
        return csv_text(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; NaN becomes None."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": _KIND,
            "name": self.name,
            "reference": self.reference,
            "n_bootstrap": self.n_bootstrap,
            "seed": self.seed,
            "statistics": list(STATISTICS),
            "counted": list(COUNTED),
            **{name: list(getattr(self, name)) for name in _TEXTS},
            **{name: getattr(self, name).tolist() for name in _WHOLE},
            **{name: nested(getattr(self, name)) for name in _REAL},
            "inequalities": list(INEQUALITIES),
            "info": dict(self.info),
        }

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` to a file."""
        write_json(path_of("path", path), self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenStatistics:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, or values that do not fit each other.
        """
        check_schema(data, _KIND, SCHEMA_VERSION, _FIX)
        with damage_refused("the token statistics", _FIX):
            for name, known in (("statistics", STATISTICS), ("counted", COUNTED)):
                if tuple(data[name]) != known:
                    raise ValueError(f"{name} are {data[name]}, wanted {list(known)}: {_FIX}")
            languages = texts_of("languages", data["languages"])
            script = tuple(text_of("script", value) for value in data["script"])
            scripts = texts_of("scripts", data["scripts"])
            if len(script) != len(languages) or set(script) != set(scripts):
                raise ValueError(f"scripts {scripts} do not fit those of the languages: {_FIX}")
            n, m, s = len(languages), len(scripts), len(STATISTICS)
            shapes: dict[str, tuple[int, ...]] = {
                "counts": (n, len(COUNTED)), "n_lines": (n,), "n_documents": (n,),
                "values": (n, s), "intervals": (n, s, 2), "script_values": (m, s),
                "script_intervals": (m, s, 2), "inequality": (2,), "inequality_intervals": (2, 2),
            }  # fmt: skip
            reference = data["reference"]
            return cls(
                name=text_of("name", data["name"]),
                languages=languages,
                script=script,
                scripts=scripts,
                reference=None if reference is None else text_of("reference", reference),
                n_bootstrap=whole_number("n_bootstrap", data["n_bootstrap"]),
                seed=whole_number("seed", data["seed"], least=0),
                info=dict(object_of("info", data["info"])),
                **{name: count_table(name, data[name], shapes[name]) for name in _WHOLE},  # type: ignore[arg-type]
                **{name: number_table(name, data[name], shapes[name]) for name in _REAL},  # type: ignore[arg-type]
            )

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> TokenStatistics:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            As `from_dict`; it names the file.
        """
        return read_result(source, TOKENS_FILE, "token statistics", cls.from_dict)


_TEXTS: Final = ("languages", "script", "scripts")
_WHOLE: Final = ("counts", "n_lines", "n_documents")
_REAL: Final = (
    "values", "intervals", "script_values", "script_intervals", "inequality",
    "inequality_intervals",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class TokenComparison:
    """Several tokenizers on the same text.

    Attributes
    ----------
    statistics : dict of str to TokenStatistics
        By name; the first is what the others are compared with.
    ratio : (tokenizers, languages) float64
        Tokens over those of the first tokenizer on the same text; 1 for the first.
    ratio_intervals : (tokenizers, languages, 2)
        95 %, paired: the same documents for both.
    """

    statistics: Mapping[str, TokenStatistics]
    ratio: Floats
    ratio_intervals: Floats

    def rows(self) -> list[dict[str, Any]]:
        """Records of all tokenizers, with the ratio to the first."""
        found = []
        for at, own in enumerate(self.statistics.values()):
            for column, row in enumerate(own.rows()):
                low, high = self.ratio_intervals[at, column]
                more = {"ratio": self.ratio[at, column], "ratio_low": low, "ratio_high": high}
                found.append(row | {name: finite(value) for name, value in more.items()})
        return found

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def to_csv(self) -> str:
        """`rows` as CSV."""
        return csv_text(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": f"{_KIND}_comparison",
            "statistics": {name: own.to_dict() for name, own in self.statistics.items()},
            "ratio": nested(self.ratio),
            "ratio_intervals": nested(self.ratio_intervals),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenComparison:
        """The inverse of `to_dict`; errors as of `TokenStatistics.from_dict`."""
        check_schema(data, f"{_KIND}_comparison", SCHEMA_VERSION, _FIX)
        with damage_refused("the token statistics", _FIX):
            found = {
                name: TokenStatistics.from_dict(own)
                for name, own in object_of("statistics", data["statistics"]).items()
            }
            languages = {own.languages for own in found.values()}
            if len(languages) != 1:
                raise ValueError(f"statistics are of {len(languages)} sets of languages: {_FIX}")
            shape = (len(found), len(languages.pop()))
            return cls(
                found,
                number_table("ratio", data["ratio"], shape),
                number_table("ratio_intervals", data["ratio_intervals"], (*shape, 2)),
            )


def _named(values: Floats, spans: Floats) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, value, (low, high) in zip(STATISTICS, values, spans, strict=True):
        found |= {name: finite(value), f"{name}_low": finite(low), f"{name}_high": finite(high)}
    return found
