"""The tables behind the verdicts, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ilo_fast.transcoders.multilingual.steering.measures import Measures
from ilo_fast.transcoders.multilingual.steering.result import SteeringResult
from multilingual_clt.findings import Number, Read
from multilingual_clt.plan import MEASURED, Plan
from multilingual_clt.tuning import BASE

NONE_YET = "None yet."
STEERED: Final[dict[str, Callable[[Measures], float]]] = {
    "share in target": lambda m: m.target.share,
    "share in source": lambda m: m.source.share,
    "content (nats)": lambda m: m.content,
    "loss, alone (nats)": lambda m: m.loss_alone,
}
"""What is shown of steering: a name, and where it stands."""
TOKENS = ("premium", "fertility", "characters_per_token", "single_token_words")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shown(number: Number, digits: int = 3) -> str:
    """A number and its interval."""
    if number.low is None or number.high is None:
        return f"{number.value:+.{digits}f}"
    return f"{number.value:+.{digits}f} [{number.low:+.{digits}f}, {number.high:+.{digits}f}]"


def models(plan: Plan, read: Read) -> str:
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
        return NONE_YET
    note = "Bits per character of held-out verses; romanised text has other characters."
    return table(("condition", "seed", *plan.languages), rows) + "\n\n" + note


def layers(plan: Plan, read: Read) -> str:
    rows = []
    for condition, seed in plan.models():
        for kind in ("clt", "plt"):
            rows += _layer_rows(condition.name, seed, kind, read)
    if not rows:
        return NONE_YET
    columns = (
        "condition", "seed", "transcoder", "layer", "excess Jaccard", "ILO, hidden", "features",
        "translation share, hidden", "features", "mutual k-NN, hidden", "features",
        "effective languages", "of one language", "probe on x", "unigram", "line so far",
    )  # fmt: skip
    return table(columns, rows)


def _layer_rows(name: str, seed: int, kind: str, read: Read) -> list[list[str]]:
    space = read(f"space-{name}-{seed}-{kind}")
    languages = read(f"languages-{name}-{seed}-{kind}")
    probes = read(f"probes-{name}-{seed}-clt")
    if space is None or languages is None:
        return []
    scores, excess = space["space"]["scores"], mean_excess(space["space"]["sharing"])
    rows = []
    for layer, (value, low, high) in enumerate(excess):
        rates = languages["rates"][layer]
        x = [p for p in probes["probes"] if p["kind"] == "x"][layer] if probes else None
        rows.append(
            [
                name, str(seed), kind, str(layer), shown(Number(value, low, high)),
                *(_cell(scores[source][score]["values"][layer])
                  for score in ("ilo", "translation_share", "mutual_knn")
                  for source in ("hidden", "features")),
                _cell(rates["effective_languages"], 2), _cell(rates["specific"], 2),
                _cell(x["accuracy"] if x else None),
                *(_cell(probes["baselines"][name]["accuracy"] if probes else None)
                  for name in ("unigram", "line_so_far")),
            ]
        )  # fmt: skip
    return rows


def mean_excess(sharing: dict[str, Any]) -> list[tuple[float, float, float]]:
    """Excess Jaccard by layer, with its interval."""
    found = sharing["measures"]["jaccard"]["mean_excess"]
    return list(zip(found["values"], found["low"], found["high"], strict=True))


def correlations(plan: Plan, read: Read) -> str:
    """How far sharing of features goes with neighbourhoods, over layers and pairs of languages."""
    rows = []
    for condition, seed in plan.models():
        for kind in ("clt", "plt"):
            space = read(f"space-{condition.name}-{seed}-{kind}")
            if space is None:
                continue
            own = {
                (one["over"], one["source"]): one
                for one in space["space"]["correlations"]
                if one["score"] == "mutual_knn" and one["layer"] is None
            }
            cells = [
                "" if one["rho"] is None else shown(Number(one["rho"], one["low"], one["high"]), 2)
                for one in (own["layers", "hidden"], own["pairs", "hidden"],
                            own["pairs", "features"])
            ]  # fmt: skip
            rows.append([condition.name, str(seed), kind, *cells])
    columns = ("condition", "seed", "transcoder", "over layers, hidden states",
               "over pairs, hidden states", "over pairs, features")  # fmt: skip
    return table(columns, rows) if rows else NONE_YET


def scripts(plan: Plan, read: Read) -> str:
    """Whether features of one language fire on its text in Latin script too."""
    rows = []
    for seed in plan.seeds:
        for name in MEASURED["script"]["clt"]:
            piece = read(f"script-{name}-{seed}-clt")
            for row in piece["control"] if piece is not None else ():
                number = "" if row["share"] is None else shown(
                    Number(row["share"], row["low"], row["high"]))  # fmt: skip
                counts = (row[key] for key in ("features", "language", "script", "undecided"))
                layer = "all" if row["layer"] is None else str(row["layer"])
                rows.append([name, str(seed), layer, *map(str, counts), number])
    columns = ("condition", "seed", "layer", "features", "follow the language", "the script",
               "undecided", "share of the language")  # fmt: skip
    return table(columns, rows) if rows else NONE_YET


def ablations(plan: Plan, read: Read) -> str:
    """What each language's late features are worth to it, beyond what they are to others."""
    rows = []
    for seed in plan.seeds:
        for kind in MEASURED["ablation"]:
            piece = read(f"ablation-{BASE}-{seed}-{kind}")
            if piece is None:
                continue
            for row in piece["specificity"]:
                cells = {c["language"]: c for c in piece["cells"] if c["set"] == row["set"]}
                own = cells[row["set"]]
                others = [c["change"] for code, c in cells.items() if code != row["set"]]
                rows.append(
                    [
                        str(seed), kind, row["set"], str(own["n_features"]),
                        shown(Number(own["change"], own["low"], own["high"])),
                        f"{max(others):+.3f}", f"{own['random_mean']:+.3f}",
                        _cell(own["p_adjusted"]), _cell(row["specificity"]), _cell(row["p_holm"]),
                    ]
                )  # fmt: skip
    columns = ("seed", "transcoder", "language", "features", "loss in it", "most in another",
               "random sets", "p (maxT)", "own less others", "p (Holm)")  # fmt: skip
    return table(columns, rows) if rows else NONE_YET


def steerings(plan: Plan, read: Read) -> str:
    """Means over all ordered pairs of languages, at the strengths that were chosen."""
    rows = []
    for seed, result in steering_results(plan, read).items():
        ways = {"unsteered": [pair.unsteered for pair in result.pairs]}
        for pair in result.pairs:
            for mode, one in pair.modes.items():
                ways.setdefault(mode, []).append(one.measures)
        for way, measures in ways.items():
            columns = [[get(m) for m in measures] for get in STEERED.values()]
            rows.append([str(seed), way, *(f"{sum(c) / len(c):.3f}" for c in columns)])
    return table(("seed", "way", *STEERED), rows) if rows else NONE_YET


def steering_results(plan: Plan, read: Read) -> dict[int, SteeringResult]:
    """Of the base model, by seed."""
    pieces = {seed: read(f"steering-{BASE}-{seed}-clt") for seed in plan.seeds}
    return {seed: SteeringResult.from_dict(p) for seed, p in pieces.items() if p is not None}


def events(plan: Plan, read: Read) -> str:
    """How many features something happened to, beside fits that differ in seeds alone."""
    rows = []
    for method in ("full", "lora"):
        for way in ("reused", "refitted", "fresh"):
            for seed in plan.seeds:
                piece = read(f"diff-{method}-{way}-{seed}")
                for event in piece["events"] if piece is not None else ():
                    if event["share"] is None:
                        continue
                    excess = "" if event["excess"] is None else shown(
                        Number(event["excess"], event["low"], event["high"]))  # fmt: skip
                    rows.append(
                        [f"{method}, {way}", str(seed), event["kind"], f"{event['found']}",
                         f"{event['of']}", _cell(event["control_share"]), excess]
                    )  # fmt: skip
    columns = ("fine-tuning, transcoder", "seed", "features that", "found", "of",
               "share in controls", "share beyond controls")  # fmt: skip
    return table(columns, rows) if rows else NONE_YET


def vocabularies(read: Read) -> str:
    piece = read("vocabularies")
    if piece is None:
        return NONE_YET
    rows = []
    for name, own in piece["statistics"].items():
        columns = [own["statistics"].index(key) for key in TOKENS]
        rows += [
            [name, code, *(_cell(values[at]) for at in columns)]
            for code, values in zip(own["languages"], own["values"], strict=True)
        ]
    return table(("vocabulary", "language", *TOKENS), rows)


def _cell(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"
