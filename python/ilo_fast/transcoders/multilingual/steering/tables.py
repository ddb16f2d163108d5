"""What steering did, for the terminal."""

from __future__ import annotations

import textwrap
from typing import Final

from ilo_fast._util.messages import counted, plain
from ilo_fast.report.columns import pad
from ilo_fast.report.text_table import Table, wrapped
from ilo_fast.transcoders.multilingual.steering.measures import Measures, Share
from ilo_fast.transcoders.multilingual.steering.result import (
    SUBSTITUTION,
    SUPPRESSION,
    PairResult,
    SteeringResult,
)

LEGEND: Final = (
    "target, source: share of the continuations in each language, in percent, with Wilson's 95 % "
    "interval over documents; the rest is in neither",
    "content: log-likelihood per token of how the translation goes on, minus that of another "
    "line's; 0: nothing of this line is left",
    "chrF: of the continuation against how the translation goes on, 0 to 100; -: not installed",
    "loss, alone: nats per token of the continuation under the unmodified model, with and without "
    "the prompt; high: not a text of this model",
    "distinct: share of the continuation's tokens that are not repeated",
    "strength: chosen on the validation half; @: behind which layer a vector is added",
    "more, less, cannot tell: against the best baseline, 95 % by paired bootstrap over documents; "
    "each pair by itself: of 20 in which nothing is better, one will be called more or less",
)
_LENGTH: Final = 30  # characters; what most continuations have at least
_TEXT: Final = 60


def text_report(result: SteeringResult, title: str, *, examples: int = 2) -> str:
    """What ``ilo-fast clt steer`` prints."""
    blocks = [
        f"{title}\n{sample_line(result)}",
        "\n".join(map(wrapped, identifier_lines(result))),
    ]
    for one in result.pairs:
        blocks.append(_pair(one))
        if one.examples[:examples]:
            blocks.append(_examples(one, examples))
    blocks += [f"{name}: left out, {why}" for name, why in result.skipped.items()]
    blocks.append("\n".join(map(wrapped, overall_lines(result))))
    blocks.append("\n".join(map(wrapped, LEGEND)))
    return "\n\n".join(blocks) + "\n"


def sample_line(result: SteeringResult) -> str:
    """Of how much text the numbers are."""
    info = result.info
    return (
        f"{counted(int(info['test_prompts']), 'test prompt')} of "
        f"{counted(int(info['test_documents']), 'document')}; strengths chosen on "
        f"{info['validation_prompts']} others; {info['max_new_tokens']} tokens each"
    )


def identifier_lines(result: SteeringResult) -> list[str]:
    """How often the language is told rightly."""
    accuracy = result.identifier
    at = min(range(len(accuracy.lengths)), key=lambda i: abs(accuracy.lengths[i] - _LENGTH))
    length = accuracy.lengths[at]
    parts = []
    for j, code in enumerate(accuracy.languages):
        n = int(accuracy.n[at, j])
        if n:
            low, high = accuracy.interval(length, code)
            parts.append(f"{code} {accuracy.share[at, j]:.0%} [{low:.0%} {high:.0%}] of {n}")
        else:
            parts.append(f"{code} no line is so long")
    unsteered = {one.source: one.unsteered.source.share for one in result.pairs}
    known = ", ".join(f"{code} {share:.0%}" for code, share in unsteered.items())
    return [
        f"The identifier is right about pieces of {length} characters: {'; '.join(parts)}",
        f"Unsteered continuations that it takes for the prompt's language: {known or 'none'}",
    ]


def pair_table(one: PairResult) -> Table:
    """What every way of steering does, at the strength that was chosen."""
    head = ("", "strength", "target", "source", "content", "chrF", "loss", "alone", "distinct")
    rows = [("unsteered", "", *_cells(one.unsteered))]
    for mode in one.modes.values():
        where = "" if mode.layer is None else f" @{mode.layer}"
        rows.append(
            (mode.mode.replace("_", " "), f"{mode.strength:g}{where}", *_cells(mode.measures))
        )
    return Table(
        head,
        rows,
        title=f"{one.source} > {one.target}: {counted(one.n_source, 'feature')} of {one.source}, "
        f"{one.n_target} of {one.target}",
    )


def contrast_lines(one: PairResult) -> list[str]:
    """Each way beside its best baseline."""
    return [
        f"{name} minus {contrast.baseline.replace('_', ' ')}: {contrast.difference:+.2f} "
        f"[{contrast.low:+.2f} {contrast.high:+.2f}], {contrast.verdict}"
        for name, contrast in one.contrasts.items()
    ]


def _pair(one: PairResult) -> str:
    title, *lines = pair_table(one).text().splitlines()
    return f"{title}\n" + textwrap.indent("\n".join([*lines, *contrast_lines(one)]), "  ")


def _cells(measures: Measures) -> tuple[str, ...]:
    chrf = "-" if measures.chrf is None else f"{measures.chrf:.0f}"
    return (
        *(_share(s) for s in (measures.target, measures.source)),
        f"{measures.content:+.2f}",
        chrf,
        f"{measures.loss:.2f}",
        f"{measures.loss_alone:.2f}",
        f"{measures.distinct:.2f}",
    )


def _share(one: Share) -> str:
    return f"{100 * one.share:.0f} [{100 * one.low:.0f} {100 * one.high:.0f}]"


def _examples(one: PairResult, n: int) -> str:
    lines = []
    shown = ("unsteered", SUPPRESSION, SUBSTITUTION)
    for example in one.examples[:n]:
        lines.append(f"  {_short(example.prompt)} ...")
        lines += [
            f"    {pad(name, 12)} {_short(example.continuations[name])}"
            for name in shown
            if name in example.continuations
        ]
    return "\n".join(lines)


def _short(text: str) -> str:
    flat = plain(text.strip())
    return flat if len(flat) <= _TEXT else flat[: _TEXT - 3] + "..."


def overall_lines(result: SteeringResult) -> list[str]:
    """All pairs together."""
    lines = []
    for mode in (SUBSTITUTION, SUPPRESSION):
        verdicts = [one.contrasts[mode].verdict for one in result.pairs if mode in one.contrasts]
        overall = result.overall(mode)
        if overall is None:
            continue
        counts = ", ".join(
            f"{verdicts.count(v)} {v}" for v in ("more", "less", "cannot tell") if v in verdicts
        )
        lines.append(
            f"All {counted(len(verdicts), 'pair')}, {mode} minus each pair's best baseline: "
            f"{overall.difference:+.2f} [{overall.low:+.2f} {overall.high:+.2f}], "
            f"{overall.verdict} ({counts})"
        )
    return lines or ["No baseline was run."]
