"""The page of the study: verdicts, then the tables behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from page_lines import wrapped

from multilingual_clt.findings import Finding, Number, Read, disagreements
from multilingual_clt.plan import Plan


def markdown(plan: Plan, read: Read, found: Sequence[Finding], about: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        "# What features of multilingual models say: tables",
        f"`{about['command']}`",
        f"{len(plan.languages)} languages ({', '.join(plan.languages)}), seeds "
        f"{', '.join(map(str, plan.seeds))}; {about['verses']} verses per language held out, in "
        f"{about['chapters']} chapters, of which measurements take {about['measured']}; "
        f"{about['seconds'] / 3600:.1f} hours of one core in all. Intervals are of 95 %. A claim "
        "*holds* where its number lies above 0 with its whole interval in every seed, and *does "
        "not hold* where it lies below in every seed; else this study *cannot tell*.",
        "## Verdicts",
        _claims(found),
        "## Where the two kinds of transcoder disagree",
        _disagreements(found),
        "## Models",
        _models(plan, read),
        "## Layers",
        _layers(plan, read),
        "## Vocabularies",
        _vocabularies(read),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(number: Number, digits: int = 3) -> str:
    """A number and its interval."""
    if number.low is None or number.high is None:
        return f"{number.value:+.{digits}f}"
    return f"{number.value:+.{digits}f} [{number.low:+.{digits}f}, {number.high:+.{digits}f}]"


def _claims(found: Sequence[Finding]) -> str:
    parts = []
    for claim in dict.fromkeys((one.claim, one.measured) for one in found):
        rows = [
            [one.condition, one.kind, "; ".join(map(shown, one.numbers)), one.verdict]
            for one in found
            if (one.claim, one.measured) == claim
        ]
        parts.append(f"### {claim[0][0].upper()}{claim[0][1:]}")
        parts.append(wrapped(f"Number: {claim[1]}."))
        parts.append(table(("condition", "transcoder", "number, seed by seed", "verdict"), rows))
    return "\n\n".join(parts)


def _disagreements(found: Sequence[Finding]) -> str:
    rows = [
        [one.claim, one.condition, one.verdict, other.verdict]
        for one, other in disagreements(found)
    ]
    if not rows:
        return "Nowhere."
    return table(("claim", "condition", "cross-layer", "per-layer"), rows)


def _models(plan: Plan, read: Read) -> str:
    rows = []
    for condition, seed in plan.models():
        loss = read(f"loss-{condition.name}-{seed}-model")
        if loss is None:
            continue
        bits = {
            code: sum(own) / sum(loss["characters"][code]) for code, own in loss["bits"].items()
        }
        rows.append([condition.name, str(seed), *(f"{value:.2f}" for value in bits.values())])
    if not rows:
        return "None yet."
    note = "Bits per character of held-out verses; romanised text has other characters."
    return table(("condition", "seed", *plan.languages), rows) + "\n\n" + note


def _layers(plan: Plan, read: Read) -> str:
    rows = []
    for condition, seed in plan.models():
        for kind in ("clt", "plt"):
            rows += _layer_rows(condition.name, seed, kind, read)
    if not rows:
        return "None yet."
    columns = (
        "condition", "seed", "transcoder", "layer", "excess Jaccard", "translation share, hidden",
        "features", "mutual k-NN, hidden", "features", "effective languages", "of one language",
        "probe on x", "unigram",
    )  # fmt: skip
    return table(columns, rows)


def _layer_rows(name: str, seed: int, kind: str, read: Read) -> list[list[str]]:
    space = read(f"space-{name}-{seed}-{kind}")
    languages = read(f"languages-{name}-{seed}-{kind}")
    probes = read(f"probes-{name}-{seed}-clt")
    if space is None or languages is None:
        return []
    scores, excess = space["space"]["scores"], mean_excess(space)
    rows = []
    for layer, (value, low, high) in enumerate(excess):
        rates = languages["rates"][layer]
        x = [p for p in probes["probes"] if p["kind"] == "x"][layer] if probes else None
        rows.append(
            [
                name, str(seed), kind, str(layer), shown(Number(value, low, high)),
                *(_cell(scores[source][score]["values"][layer])
                  for score in ("translation_share", "mutual_knn")
                  for source in ("hidden", "features")),
                _cell(rates["effective_languages"], 2), _cell(rates["specific"], 2),
                _cell(x["accuracy"] if x else None),
                _cell(probes["baselines"]["unigram"]["accuracy"] if probes else None),
            ]
        )  # fmt: skip
    return rows


def mean_excess(space: dict[str, Any]) -> list[tuple[float, float, float]]:
    """Excess Jaccard by layer, with its interval."""
    found = space["space"]["sharing"]["measures"]["jaccard"]["mean_excess"]
    return list(zip(found["values"], found["low"], found["high"], strict=True))


def _vocabularies(read: Read) -> str:
    piece = read("vocabularies")
    if piece is None:
        return "None yet."
    rows = []
    for name, own in piece["statistics"].items():
        columns = [own["statistics"].index(key) for key in TOKENS]
        rows += [
            [name, code, *(_cell(values[at]) for at in columns)]
            for code, values in zip(own["languages"], own["values"], strict=True)
        ]
    return table(("vocabulary", "language", *TOKENS), rows)


TOKENS = ("premium", "fertility", "characters_per_token", "single_token_words")


def _cell(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"
