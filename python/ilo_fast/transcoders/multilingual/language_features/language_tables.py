"""Language features, probes and ablation as tables, columns explained."""

from __future__ import annotations

from typing import Final

from ilo_fast._util.messages import elide, plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.report.columns import p_value
from ilo_fast.report.text_table import Table
from ilo_fast.transcoders.multilingual.language_features.ablation_table import AblationMatrix
from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
    LanguageFeatures,
)
from ilo_fast.transcoders.multilingual.probes.late_features import LateFeatures
from ilo_fast.transcoders.multilingual.probes.probes import LanguageProbes

_WIDEST: Final = 6  # languages of a matrix that a terminal shows
_LEVEL: Final = 0.05


def features_table(found: LanguageFeatures) -> Table:
    """How many of each language, and what is left of them on other documents."""
    rows = [
        [
            elide(_name(row["language"]), 20), str(row["passed"]),
            _number(row["by_chance"], 1), str(row["kept"]), _number(row["found_selectivity"]),
            _number(row["selectivity"]), _number(row["density"]), _number(row["mean_layer"], 1),
            str(row["hold"]), str(row["significant"]),
        ]
        for row in found.summary()
        if row["passed"]
    ]  # fmt: skip
    head = ["language", "pass", "chance", "kept", "found", "tested", "rate", "layer", "hold",
            "p<.05"]  # fmt: skip
    return Table(
        head,
        rows,
        f"pass: features with at least {found.options['selectivity']:.0%} of their rates in the "
        f"language and less than {found.options['others_below']:.0%} in every other, on "
        f"{found.n_documents[0]} documents; chance: with labels permuted; kept: the strongest of "
        "them, of which all that follows is. found, tested: mean share of the language on those "
        f"documents and on {found.n_documents[1]} others; rate: firings per token of the "
        "language; layer: mean; hold: pass on the other documents, too; p<.05: share above that "
        "with permuted labels, corrected for all that are kept. Each feature's interval is in "
        "the CSV file.",
    )


def features_by_layer(found: LanguageFeatures) -> list[str]:
    """Where they are, and which languages have none."""
    counts = "  ".join(f"{h}: {count:.0f}" for h, count in enumerate(found.counts.sum(axis=1)))
    said = [f"Features that pass, by layer: {counts}"]
    none = [row["language"] for row in found.summary() if not row["passed"]]
    return [*said, f"No feature passes for: {', '.join(none)}"] if none else said


def probes_table(found: LanguageProbes) -> Table:
    """Accuracy by layer."""
    rows = [
        [
            {"embedding": "embeddings", "x": "read", "a": "features"}[probe.kind],
            "" if probe.kind == "embedding" else str(probe.layer),
            f"{probe.accuracy[0]:.3f}", f"{probe.accuracy[1]:.3f}-{probe.accuracy[2]:.3f}",
            f"{probe.selectivity:.3f}", f"{min(probe.shuffled):.3f}-{max(probe.shuffled):.3f}",
            f"{probe.over_unigram[0]:+.3f}", f"{probe.over_embedding[0]:+.3f}",
        ]
        for probe in found.probes
    ]  # fmt: skip
    head = ["vector", "layer", "accuracy", "95 %", "selectivity", "permuted", "-unigram",
            "-embedding"]  # fmt: skip
    names = {"unigram": "the token", "bigram": "it and the one before",
             "line_so_far": "all tokens of the line so far"}  # fmt: skip
    counted = "; ".join(f"{names[name]} {v[0]:.3f}" for name, v in found.baselines.items())
    return Table(
        head,
        rows,
        f"From counts of tokens alone: {counted}; chance {found.chance:.3f}. read: what the "
        "layer's MLP reads; features: its activations. Tokens of other documents than those "
        "fitted on; 95 %: over documents. permuted: lowest and highest accuracy with labels "
        "permuted; selectivity: accuracy less their mean; -unigram, -embedding: less that of "
        "counts, of the embeddings' probe.",
    )


def late_table(found: LateFeatures) -> Table:
    """How well early layers foretell late language features."""
    rows = [
        [str(row["layer"]), _number(row["auc"], 3), _number(row["matched_auc"], 3),
         f"{row['matched_low']:.3f}-{row['matched_high']:.3f}", p_value(row["p"])]
        for row in found.records()
    ]  # fmt: skip
    return Table(
        ["read at", "AUC", "random", "95 % of sets", "p"],
        rows,
        f"read at: the early layer; AUC: how well {len(found.columns)} language features of layers "
        f"{found.options['late_from']} on are foretold, token by token, from what it reads; "
        f"random: {found.matched.shape[0]} sets of other features of like layer, density and "
        "strength. From these features alone the language of a token is named in "
        f"{found.named[0]:.1%} ({found.named[1]:.1%} to {found.named[2]:.1%}); from the random "
        f"sets in {found.named_matched.mean():.1%}, p {p_value(found.named_p)}.",
    )


def ablation_table(found: AblationMatrix, *, widest: int = _WIDEST) -> Table:
    """The matrix, with stars at the cells that survive; of at most so many languages."""
    shown = range(min(widest, len(found.languages)))
    rows = [
        [elide(_name(name), 20)]
        + [
            f"{found.change[a, b]:+.3f}{'*' if found.p_adjusted[a, b] <= _LEVEL else ' '}"
            for b in shown
        ]
        + [f"{found.specificity[a]:+.3f}", p_value(found.specificity_p[a])]
        for a, name in enumerate(found.sets)
    ]
    left_out = (
        f" {len(found.languages) - widest} more languages are in the file."
        if len(found.languages) > widest
        else ""
    )
    return Table(
        ["switched off", *(found.languages[b] for b in shown), "own-others", "p"],
        rows,
        "Rows: the language whose features are switched off; cells: change of the loss in the "
        f"column's language, nats per token; *: larger than that of {found.random.shape[1]} sets "
        f"of matched random features, p <= {_LEVEL} over all cells (no p can be below 1 / "
        f"{found.random.shape[1] + 1}). own-others: change in the own language less the mean of "
        f"the others; p: its rank among random sets. Intervals are in the CSV file.{left_out}",
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _name(code: str) -> str:
    return plain(str(describe_language(code)["name"]))
