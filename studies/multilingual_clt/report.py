"""The page of the study: verdicts, then the tables behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from page_lines import wrapped

from multilingual_clt import tables
from multilingual_clt.findings import Finding, Read, disagreements
from multilingual_clt.plan import Plan
from multilingual_clt.tables import shown, table


def markdown(plan: Plan, read: Read, found: Sequence[Finding], about: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        "# What features of multilingual models say: tables",
        f"`{about['command']}`",
        f"{len(plan.languages)} languages ({', '.join(plan.languages)}), seeds "
        f"{', '.join(map(str, plan.seeds))}; {about['verses']} verses per language held out, in "
        f"{about['chapters']} chapters, of which measurements take {about['measured']}; "
        f"{about['seconds'] / 3600:.1f} hours in all pieces. Intervals are of 95 %. A claim "
        "*holds* where its number lies above 0 with its whole interval in every seed, and *does "
        "not hold* where it lies below in every seed; else this study *cannot tell*. Of fine-"
        "tuning it must also lie beyond both controls, and beyond 4.3 times their size.",
        "## Verdicts",
        _claims(found),
        "## Where the two kinds of transcoder disagree",
        _disagreements(found),
        "## Models",
        tables.models(plan, read),
        "## Layers",
        tables.layers(plan, read),
        "## Features shared and neighbours shared",
        "Spearman's rho of the excess Jaccard of features with mutual k-NN, with its interval over "
        "documents; over pairs of languages it is that of the means over layers. Five languages "
        "are ten pairs, so that these intervals are wide.",
        tables.correlations(plan, read),
        "## Language or script",
        "Of features of one language alone that is not written in Latin script: whether they fire "
        "on its text in Latin script as well. These models have never read such text.",
        tables.scripts(plan, read),
        "## Loss without late features of a language",
        "Nats per token, beside 200 random sets matched on layer, density and norm; p of the "
        "change by step-down maxT over all cells, of own less others by Holm over languages.",
        tables.ablations(plan, read),
        "## Steering",
        "Shares of continuations in a language; content: log-likelihood of the reference "
        "translation per token; loss of the continuation in the unsteered model.",
        tables.steerings(plan, read),
        "## What training on German changed",
        tables.events(plan, read),
        "## Vocabularies",
        tables.vocabularies(read),
    ]
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


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
