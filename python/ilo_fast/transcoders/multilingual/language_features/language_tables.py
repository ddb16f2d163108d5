"""Language features, probes and ablation as tables for the terminal, columns explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ilo_fast._util.messages import elide, plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.report.columns import aligned, p_value
from ilo_fast.transcoders.multilingual.language_features.ablation_table import AblationMatrix
from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
    LanguageFeatures,
)
from ilo_fast.transcoders.multilingual.probes.late_features import LateFeatures
from ilo_fast.transcoders.multilingual.probes.probes import LanguageProbes

_WIDEST: Final = 10  # languages of a matrix that a terminal shows
_LEVEL: Final = 0.05


def features_table(found: LanguageFeatures) -> str:
    """How many of each language, and what is left of them on other documents."""
    rows = []
    none = []
    for row in found.summary():
        if not row["passed"]:
            none.append(row["language"])
            continue
        rows.append([
            elide(_name(row["language"]), 20), str(row["passed"]),
            _number(row["by_chance"], 1), str(row["kept"]), _number(row["found_selectivity"]),
            _number(row["selectivity"]), _number(row["density"]), _number(row["mean_layer"], 1),
            str(row["hold"]), str(row["significant"]),
        ])  # fmt: skip
    head = ["language", "pass", "chance", "kept", "found", "tested", "rate", "layer", "hold",
            "p<.05"]  # fmt: skip
    lines = [_table([head, *rows])]
    if none:
        lines.append(f"No feature passes for: {', '.join(none)}")
    layers = "  ".join(f"{layer}: {count:.0f}" for layer, count in
                       enumerate(found.counts.sum(axis=1)))  # fmt: skip
    lines += [
        f"Features that pass, by layer: {layers}",
        f"pass: features with at least {found.options['selectivity']:.0%} of their rates in the "
        f"language and less than {found.options['others_below']:.0%} in every other,\n"
        f"  on {found.n_documents[0]} documents; chance: with labels permuted; kept: the strongest "
        f"of them. found, tested: mean share of the\n  language on those documents and on "
        f"{found.n_documents[1]} others; rate: firings per token of the language, layer: mean; "
        "hold: pass there, too;\n  p<.05: share above that with permuted labels, corrected.",
    ]
    return "\n".join(lines) + "\n"


def probes_table(found: LanguageProbes) -> str:
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
    return (
        f"{_table([head, *rows])}\nFrom counts of tokens alone: {counted}; chance "
        f"{found.chance:.3f}.\nread: what the layer's MLP reads; features: its activations. "
        "Tokens of other documents than those fitted on.\nselectivity: accuracy less that with "
        "permuted labels; -unigram, -embedding: less that of counts, of the embeddings' probe.\n"
    )


def late_table(found: LateFeatures) -> str:
    """How well early layers foretell late language features."""
    rows = [
        [str(row["layer"]), _number(row["auc"], 3), _number(row["matched_auc"], 3),
         f"{row['matched_low']:.3f}-{row['matched_high']:.3f}", p_value(row["p"])]
        for row in found.records()
    ]  # fmt: skip
    return (
        f"{_table([['read at', 'AUC', 'random', '95 % of sets', 'p'], *rows])}\n"
        f"AUC: how well {len(found.columns)} language features of layers "
        f"{found.options['late_from']} on are foretold, token by token, from what an early layer "
        f"reads;\n  random: {found.matched.shape[0]} sets of other features of like layer, density "
        "and strength.\nFrom these features alone the language of a token is named in "
        f"{found.named[0]:.1%} ({found.named[1]:.1%} to {found.named[2]:.1%}); from the random "
        f"sets in {found.named_matched.mean():.1%}, p {p_value(found.named_p)}.\n"
    )


def ablation_table(found: AblationMatrix) -> str:
    """The matrix, with stars at the cells that survive."""
    shown = range(min(_WIDEST, len(found.languages)))
    rows = [
        [elide(_name(name), 20)]
        + [
            f"{found.change[a, b]:+.3f}{'*' if found.p_adjusted[a, b] <= _LEVEL else ' '}"
            for b in shown
        ]
        + [f"{found.specificity[a]:+.3f}", p_value(found.specificity_p[a])]
        for a, name in enumerate(found.sets)
    ]
    head = ["switched off", *(found.languages[b] for b in shown), "own-others", "p"]
    left_out = (
        f"{len(found.languages) - _WIDEST} more languages are in the file.\n"
        if len(found.languages) > _WIDEST
        else ""
    )
    return (
        f"{_table([head, *rows])}\n{left_out}Change of the loss in nats per token; *: larger than "
        "that "
        f"of {found.random.shape[1]} sets of matched random features, p <= {_LEVEL} over all\n"
        "  cells. own-others: change in the own language less the mean of the others, and its rank "
        "among random sets.\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(aligned(rows))


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _name(code: str) -> str:
    return plain(str(describe_language(code)["name"]))
