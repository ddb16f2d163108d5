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
from ilo_fast.report.text_table import Table, wrapped
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
    features_by_layer,
    features_table,
    late_table,
    probes_table,
)
from ilo_fast.transcoders.multilingual.probes.late_features import late_features
from ilo_fast.transcoders.multilingual.probes.probes import language_probes
from ilo_fast.transcoders.multilingual.rates.language_rates import language_rates
from ilo_fast.transcoders.multilingual.rates.rates_figures import map_figure, spread_figure
from ilo_fast.transcoders.multilingual.rates.rates_tables import rates_table, script_table
from ilo_fast.transcoders.multilingual.rates.romanise import script_of
from ilo_fast.transcoders.multilingual.rates.scripts import script_split
from ilo_fast.transcoders.multilingual.sharing.sharing_tables import (
    correlation_table,
    neighbours_table,
    sharing_table,
)
from ilo_fast.transcoders.multilingual.sharing.space import shared_space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.transcoders.files.opening import Opened
    from ilo_fast.transcoders.multilingual.line_features import LineFeatures

logger = logging.getLogger(__name__)

NOTES: Final = (
    "All numbers are of this text, this model and this one transcoder: another seed of the "
    "transcoder has other features, and no interval here knows of that. What the transcoder does "
    "not explain of its model is in none of them.",
    "That a feature is active in one language does not say that it means the language: a language "
    "that is alone in its script, or the topic of its text, looks the same. With few lines all "
    "intervals are wide, and with much text nearly every rate differs: look at sizes.",
    "Sharing, where it is measured, is that beyond lines that are no translations. Names, numbers "
    "and punctuation are shared, too, and by a random model.",
)
"""What a reader of the page must know first."""
_TOKENS: Final = 3000  # of all languages, where --tokens does not say
_LEAST_TOKENS: Final = 40


Drawn = tuple[Callable[[], "Figure"], str]
"""What draws a figure, and what it shows."""


@dataclass(frozen=True)
class Section:
    """What one part found.

    Attributes
    ----------
    name
        Of its files, and in the JSON.
    title
        What is asked.
    tables, paragraphs
        For the terminal and the page.
    data
        JSON-able.
    rows
        For a CSV file; none where there are none.
    figures
        Name -> what draws it, and what it shows.
    """

    name: str
    title: str
    tables: Sequence[Table]
    data: Any
    paragraphs: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, Drawn] = field(default_factory=dict)

    def text(self) -> str:
        """For the terminal."""
        blocks = [*(table.text() for table in self.tables), *map(wrapped, self.paragraphs)]
        return "\n\n".join(blocks) + "\n"


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


def _rates(work: Work) -> Section:
    args = work.args
    found = language_rates(
        work.table, n_permutations=args.permutations, seed=args.seed, min_firings=args.min_firings,
        n_threads=args.n_threads, progress=not args.quiet,
    )  # fmt: skip
    tables, data = [rates_table(found)], {"rates": found.to_dict(), "scripts": None}
    try:
        scripts = {script_of(code) for code in found.languages}
    except ValueError:  # codes of one's own name none
        scripts = set()
    if len(scripts) > 1:
        split = script_split(work.table, found, seed=args.seed)
        tables.append(script_table(split))
        data["scripts"] = split.to_dict()
    return Section(
        "rates",
        "Over how many languages features spread",
        tables,
        data,
        (),
        found.rows(),
        {
            "rates": (
                lambda: spread_figure(found),
                "Effective number of languages of the features of each layer; below, the share "
                "of features of one language, beside what permuted labels give.",
            ),
            "feature_map": (
                lambda: map_figure(found),
                "A column for each feature, by its dominant language; how many are specific to "
                "each language on the right.",
            ),
        },
    )


def _sharing(work: Work) -> Section | None:
    args, it = work.args, work.it
    try:
        found = shared_space(
            it.model, it.transcoder, work.corpus,
            tokenizer=it.tokenizer, table=work.table, seed=args.seed, n_threads=args.n_threads,
            progress=not args.quiet,
        )  # fmt: skip
    except ValueError as error:  # too little text, or too few features
        logger.warning("what languages share is not measured: %s", error)
        return None
    figures: dict[str, Drawn] = {
        "shared_space": (
            lambda: found.plot(),
            "Features in common with translations and with other lines; ILO and the share of "
            "translations among neighbours, of hidden states and of feature vectors.",
        )
    }
    if len(found.languages) > 2:
        excess = found.sharing[found.measure].mean_excess.values
        layer = found.layers[int(excess.argmax())]
        figures["sharing_pairs"] = (
            lambda: found.sharing.plot_pairs(found.measure, layer=layer),
            f"Pairs of languages at layer {layer}, where translations share most beyond chance.",
        )
    correlations = correlation_table(found)
    data = found.to_dict() | {"layer_rows": found.rows(), "pair_rows": found.pair_rows()}
    del data["info"], data["sharing"]["info"]  # seconds: the same seed gives the same file
    return Section(
        "sharing",
        "What languages share: features and neighbours",
        [
            sharing_table(found),
            neighbours_table(found),
            *([correlations] if correlations.rows else []),
        ],
        data,
        (),
        found.rows(),
        figures,
    )


def _features(work: Work) -> Section:
    found = work.features
    return Section(
        "language_features",
        "Features of single languages",
        [features_table(found)],
        found.to_dict(),
        features_by_layer(found),
        found.records(),
        {
            "language_features": (
                lambda: features_figure(found),
                "Features that pass, by layer and language, on the half that finds them.",
            )
        },
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
        [probes_table(found)],
        found.to_dict(),
        (),
        found.records(),
        {
            "probes": (
                lambda: probes_figure(found),
                "Accuracy of telling the language of one token, beside counts of tokens and "
                "permuted labels.",
            )
        },
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
        [late_table(found)],
        found.to_dict(),
        (),
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
        [ablation_table(matrix)],
        matrix.to_dict(),
        (),
        matrix.records(),
        {
            "ablation": (
                lambda: ablation_figure(matrix),
                "Change of the loss in each language (columns) where the features of one (rows) "
                "are switched off.",
            )
        },
    )


SECTIONS: Final[
    tuple[tuple[Callable[[argparse.Namespace], bool], Callable[[Work], Section | None]], ...]
] = (
    (lambda args: True, _rates),
    (lambda args: bool(args.sharing), _sharing),
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
    return written + write_figures(folder, lambda: {name: draw() for name, (draw, _) in figures})


def languages_page(
    sections: Sequence[Section], title: str, subtitle: str, settings: Mapping[str, Any]
) -> str:
    """All parts as one HTML page (needs matplotlib and jinja2)."""
    from ilo_fast.report.sections import Section as Part
    from ilo_fast.report.sections import sections_page

    parts = [
        Part(
            section.title,
            section.paragraphs,
            [(draw(), caption) for draw, caption in section.figures.values()],
            section.tables,
        )
        for section in sections
    ]
    return sections_page(
        title, parts,
        kicker="Features and languages", subtitle=subtitle, notes=NOTES, settings=settings,
    )  # fmt: skip
