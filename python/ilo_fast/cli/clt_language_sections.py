"""The parts of ``ilo-fast clt languages``: each measures one thing, in words and in files."""

from __future__ import annotations

import argparse
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.files import write_text
from ilo_fast.transcoders.multilingual.language_features.ablation import ablation_matrix
from ilo_fast.transcoders.multilingual.language_features.language_features import language_features
from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
    LanguageFeatures,
)
from ilo_fast.transcoders.multilingual.language_features.language_figures import (
    ablation_figure,
    features_figure,
    probes_figure,
)
from ilo_fast.transcoders.multilingual.language_features.language_tables import (
    ablation_table,
    features_table,
    late_table,
    probes_table,
)
from ilo_fast.transcoders.multilingual.probes.late_features import late_features
from ilo_fast.transcoders.multilingual.probes.probes import language_probes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.transcoders.files.opening import Opened
    from ilo_fast.transcoders.multilingual.line_features import LineFeatures

logger = logging.getLogger(__name__)

_TOKENS: Final = 3000  # of all languages, where --tokens does not say
_LEAST_TOKENS: Final = 40


@dataclass(frozen=True)
class Section:
    """What one part found.

    Attributes
    ----------
    name
        Of its files, and in the JSON.
    title, text
        For the terminal.
    data
        JSON-able.
    rows
        For a CSV file; none where there are none.
    figures
        Name -> what draws it.
    """

    name: str
    title: str
    text: str
    data: Any
    rows: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)


class Work:
    """What the parts share.

    Parameters
    ----------
    args
        The flags.
    it, corpus, table
        Model and transcoder, the text, and its features line by line.
    """

    def __init__(
        self, args: argparse.Namespace, it: Opened, corpus: ParallelCorpus, table: LineFeatures
    ) -> None:
        self.args, self.it, self.corpus, self.table = args, it, corpus, table

    @functools.cached_property
    def features(self) -> LanguageFeatures:
        """Found once for all parts."""
        args = self.args
        return language_features(
            self.table,
            n_per_language=args.n_per_language,
            min_firings=args.min_firings,
            selectivity=args.selectivity,
            others_below=args.others_below,
            n_permutations=args.permutations,
            seed=args.seed,
            progress=not args.quiet,
        )


def _features(work: Work) -> Section:
    found = work.features
    return Section(
        "language_features",
        "Features of single languages",
        features_table(found),
        found.to_dict(),
        found.records(),
        {"language_features": lambda: features_figure(found)},
    )


def _probes(work: Work) -> Section:
    args, it = work.args, work.it
    n = args.tokens or max(_LEAST_TOKENS, _TOKENS // len(work.corpus.languages))
    found = language_probes(
        it.model, it.transcoder, work.corpus,
        tokenizer=it.tokenizer, n_tokens=n, n_shuffles=args.shuffles, seed=args.seed,
        progress=not args.quiet,
    )  # fmt: skip
    return Section(
        "probes",
        "How well each layer tells the language of a token",
        probes_table(found),
        found.to_dict(),
        found.records(),
        {"probes": lambda: probes_figure(found)},
    )


def _late(work: Work) -> Section | None:
    args, it = work.args, work.it
    n = args.tokens or max(_LEAST_TOKENS, _TOKENS // len(work.corpus.languages))
    try:
        found = late_features(
            it.model, it.transcoder, work.features, work.corpus,
            tokenizer=it.tokenizer, n_tokens=n, seed=args.seed, progress=not args.quiet,
        )  # fmt: skip
    except ValueError as error:  # there may be none
        logger.warning("late features are not foretold: %s", error)
        return None
    return Section(
        "late_features",
        "Late language features, foretold from early layers",
        late_table(found),
        found.to_dict(),
        found.records(),
    )


def _ablation(work: Work) -> Section | None:
    args, it, found = work.args, work.it, work.features
    counts = [len(found.of(code)) for code in found.languages]
    most = sorted(range(len(counts)), key=lambda at: (-counts[at], at))[: args.sets]
    codes = [found.languages[at] for at in sorted(most) if counts[at]]
    if not codes:
        logger.warning("nothing is switched off: no language has a feature of its own")
        return None
    features = found.select(codes)
    matrix = ablation_matrix(
        it.model, it.transcoder, features, work.corpus.select(codes),
        tokenizer=it.tokenizer, table=work.table.select(codes), n_lines=args.lines,
        n_random=args.random, seed=args.seed, progress=not args.quiet,
    )  # fmt: skip
    return Section(
        "ablation",
        "Loss where the features of one language are switched off",
        ablation_table(matrix),
        matrix.to_dict(),
        matrix.records(),
        {"ablation": lambda: ablation_figure(matrix)},
    )


SECTIONS: Final[
    tuple[tuple[Callable[[argparse.Namespace], bool], Callable[[Work], Section | None]], ...]
] = (
    (lambda args: True, _features),
    (lambda args: bool(args.probes), _probes),
    (lambda args: bool(args.probes), _late),
    (lambda args: bool(args.ablation), _ablation),
)
"""Whether the flags want a part, and the part; in the order in which they are printed."""


def write_section(section: Section, folder: Path) -> list[Path]:
    """Its table, and its figures where matplotlib is there."""
    from ilo_fast.report.files import write_figures

    written = []
    if section.rows:
        written.append(folder / f"{section.name}.csv")
        write_text(written[-1], csv_text(section.rows))
    figures = section.figures.items()
    return written + write_figures(folder, lambda: {name: draw() for name, draw in figures})
