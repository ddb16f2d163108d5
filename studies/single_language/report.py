"""The study in Markdown: verdicts first, then what they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from page_lines import wrapped

from .analysis import ACCURACIES, SCORES, Group, claims
from .journal import clock
from .plan import CLASSIFICATION, CONDITIONS, NOTE
from .stats import CONFIDENCE, MARGINS, N_BOOT, Interval, interval

DEMO, DEMO_TEXT = "ilo_fast-demo", "nllb_seed"  # a model, and what it was pre-trained on
TITLES = {
    "ilo": "ILO",
    "translation_share": "translation share",
    "retrieval_p1": "retrieval P@1",
    "mexa": "MEXA",
    "mutual_knn": "mutual k-NN",
    "cka_unbiased": "unbiased CKA",
    "accuracy": "accuracy",
}
RULE = f"""\
Differences are paired by seed (and language, and test sentence). Intervals: {CONFIDENCE:.0%}, a
crossed bootstrap ({N_BOOT:,} draws) over seeds and languages, for accuracy also over test
sentences. Its quantiles are stretched about the mean for the small number of seeds: t instead of
normal quantiles (Satterthwaite's degrees of freedom), an unbiased variance.

- **holds**: the interval excludes 0 in the claimed direction.
- **does not hold**: it excludes 0 in the other direction, or lies wholly within
  ±{MARGINS["accuracy"]:g} (accuracy), ±{MARGINS["ilo"]:g} (ILO),
  ±{MARGINS["translation_share"]:g} (translation share).
- **cannot tell**: anything else.

The verdict rule and its margins were written before any result of the study was seen. The control
`embeddings`, the claims that use it, and the stretching of intervals (in place of another widening,
too narrow with two or three seeds) were added while the runs were under way, also before any result
was looked at. All of it is about these models at this scale. That the outputs of the first n blocks
stay as they were when these blocks and the embeddings are frozen is so by construction, and no
finding: claim 2 is tested on the layers above them.

ILO measures how languages mix, not whether meanings meet; the translation share (the share of a
sentence's neighbours that are its translations) does. Layer 0 is the embedding output; early layers
are those that leave the first n blocks, late ones those that leave the last n.
"""


def number(found: Interval, digits: int = 3) -> str:
    """A mean and its interval; bold where it excludes 0."""
    if np.isnan(found.mean):
        return "not finite"
    text = f"{found.mean:+.{digits}f}"
    if np.isnan(found.lower):
        return text
    text += f" [{found.lower:+.{digits}f}, {found.upper:+.{digits}f}]"
    return f"**{text}**" if found.lower > 0 or found.upper < 0 else text


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    rule = ["---"] * len(head)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)] + [""]


def markdown(study: dict[str, Any], found: Sequence[Group]) -> str:
    """The whole report."""
    n_runs, n_planned = study["n_runs"], study["n_planned"]
    text = ["# Fine-tuning on one language: what it does to alignment, and what freezing does", ""]
    if n_runs < n_planned:
        elsewhere = study["n_elsewhere"]
        more = f" {elsewhere} of the others are another process's." if elsewhere else ""
        text += [f"**Not finished: {n_runs} of {n_planned} runs.{more}**", ""]
    text += ["## Verdicts, at this scale", "", *verdicts(found), RULE]
    for group in found:
        text += [f"## {heading(group)}", "", *_facts(study, group)]
        if group.correct:
            text += accuracies(group)
        if group.loss:
            text += losses(group)
        for score in SCORES:
            text += [*layers(group, score), *(contrasts(group, score) if group.contrasts else ())]
    text += ["## Conditions and settings", "", NOTE, ""]
    text += [f"- `{name}`: {CONDITIONS[name]}" for name in _all_conditions(found)]
    text += ["", *_settings(study)]
    return "\n".join(map(wrapped, text)) + "\n"


def heading(group: Group) -> str:
    """Task and model in words."""
    what = "Topic classification" if group.task == CLASSIFICATION else "Causal language modelling"
    return f"{what} in English, {group.label}"


def verdicts(found: Sequence[Group]) -> list[str]:
    """A claim a line, a model a column; then what decided."""
    decided = {(g.task, g.label): claims(g) for g in found}
    kinds = dict.fromkeys((c.name, c.says, c.score) for made in decided.values() for c in made)
    order = sorted(kinds, key=lambda kind: kind[0].split(",")[0])
    lines, reasons = [], []
    for kind in order:
        cells = [kind[0], kind[1], TITLES[kind[2]]]
        for (task, label), made in decided.items():
            claim = next((c for c in made if (c.name, c.says, c.score) == kind), None)
            if claim is None:
                cells.append("")
                continue
            small = ", by less than the margin" if claim.small else ""
            cells.append(f"**{claim.verdict}**{small}")
            reason = (f"{task}, {label}", TITLES[claim.score], claim.measured)
            reasons.append((*reason, number(claim.found), claim.verdict + small))
        lines.append(cells)
    head = ["claim", "says", "score", *(f"{task}, {label}" for task, label in decided)]
    why = ("task, model", "score", "difference", "mean and interval", "verdict")
    return [*table(head, lines), "What decided:", "", *table(why, reasons)]


def accuracies(group: Group) -> list[str]:
    """Accuracy of each condition, and its difference to none and to first."""
    head = ["condition", "zero-shot", "English"]
    head += [f"{where}, minus none" for where in ACCURACIES]
    head += ["zero-shot, minus none (test sentences held fixed)", "zero-shot, first minus this"]
    lines = []
    for condition in group.conditions:
        cells = [f"`{condition}`"]
        for where in ACCURACIES:
            by_seed = group.answers(condition, where).mean(axis=(1, 2))
            spread = f" ± {by_seed.std(ddof=1):.3f}" if len(by_seed) > 1 else ""
            cells.append(f"{by_seed.mean():.3f}{spread}")

        def minus(a: str, b: str, where: str) -> np.ndarray:
            return group.answers(a, where) - group.answers(b, where)

        if condition == "none":
            cells += ["", "", ""]
        else:
            cells += [number(interval(minus(condition, "none", where))) for where in ACCURACIES]
            cells.append(number(interval(minus(condition, "none", "zero-shot").mean(axis=-1))))
        beside = "first" in group.conditions and condition != "first"
        cells.append(number(interval(minus("first", condition, "zero-shot"))) if beside else "")
        lines.append(cells)
    n = len(group.languages) - 1
    sentences = group.correct["none"].shape[2]
    note = f"Accuracy on {sentences} test sentences; zero-shot is the mean over {n} languages; ± is"
    return [
        "### Accuracy",
        "",
        *table(head, lines),
        f"{note} the standard deviation over {len(group.seeds)} seeds.",
        "",
    ]


def losses(group: Group) -> list[str]:
    """How well each condition learned the text."""
    lines = []
    for condition, values in group.loss.items():
        spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
        minus = number(interval((values - group.loss["none"])[:, None]))
        lines.append(
            (
                f"`{condition}`",
                f"{values.mean():.3f}{spread}",
                "" if condition == "none" else minus,
            )
        )
    head = ("condition", "loss, nats a token", "minus none")
    return ["### Loss on held-out English lines after training", "", *table(head, lines)]


def layers(group: Group, score: str) -> list[str]:
    """Before, and the change in each condition, layer by layer."""
    head = ["layer", "before", *(f"`{c}`, after - before" for c in group.conditions)]
    lines = []
    for position, layer in enumerate(group.layers):
        cells = [str(layer), f"{group.before[score][:, position].mean():.3f}"]
        for condition in group.conditions:
            x = group.change(condition, score)[..., position]
            cells.append("0 (to the bit)" if not x.any() else number(interval(x)))
        lines.append(cells)
    return [f"### {TITLES[score]}: before and after", "", *table(head, lines)]


def contrasts(group: Group, score: str) -> list[str]:
    """Paired differences between conditions, by part of the model."""
    parts = list(group.bands)
    if "middle" not in parts:  # then late is all that lies above
        parts.remove("above")
    lines = [
        [f"`{condition}` - `{other}`"]
        + [number(interval(group.at(group.difference(condition, other, score), p))) for p in parts]
        for condition, other in group.contrasts
    ]
    head = ["", *(f"{p} ({_span([group.layers[i] for i in group.bands[p]])})" for p in parts)]
    return [f"### {TITLES[score]}: conditions beside each other", "", *table(head, lines)]


def _span(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _all_conditions(found: Sequence[Group]) -> list[str]:
    return [c for c in CONDITIONS if any(c in group.conditions for group in found)]


def _facts(study: dict[str, Any], group: Group) -> list[str]:
    start = study["before"][group.label]
    random = [sorted(f["layers"]) for f in group.frozen.get("random", [])]
    shares = {
        c: sorted({round(f["share"], 3) if f else 0.0 for f in group.frozen[c]})
        for c in group.conditions
    }
    text = [
        f"{len(group.seeds)} seeds; {start['n_blocks']} blocks, n = {group.freeze_n}; "
        f"{start['n_parameters']:,} parameters without a task head. Frozen share of the trained "
        "model: "
        + ", ".join(f"`{c}` {' or '.join(f'{s:.1%}' for s in v)}" for c, v in shares.items())
        + "."
    ]
    if random:
        drawn = ", ".join(" ".join(map(str, blocks)) for blocks in random)
        text.append(f"Blocks drawn for `random`, seed by seed: {drawn}.")
    text.append(
        f"Means over {len(group.languages)} languages x {start['n_sentences']} FLORES sentences "
        f"that training did not see. Before training: ILO "
        f"{group.before['ilo'].mean():.3f}, translation share "
        f"{group.before['translation_share'].mean():.3f} (mean over layers)."
    )
    data = study["settings"]["data"]
    return [" ".join(text), "", *(_articles(data) if group.correct else _pretraining(data, group))]


def _articles(data: dict[str, Any]) -> list[str]:
    """What zero-shot accuracy may come from, beside meaning."""
    known, shared = data["test_articles"]["known"], data["test_articles"]["of_training"]
    how_many = (
        f"Of {data['test']} test sentences, {known} are from FLORES devtest, whose articles are "
        f"known: {shared} of these ({shared / known:.0%}) are from articles that have training "
        "sentences, too"
        if known
        else "The articles of the test sentences are not known here"
    )
    return [
        "SIB-200 divides sentences, not articles, between training and test. "
        f"{how_many}. So zero-shot accuracy may come in part from names and numbers that stand in "
        "both, whatever the language; no claim is tested apart from that.",
        "",
    ]


def _pretraining(data: dict[str, Any], group: Group) -> list[str]:
    """Text that is not new to the model."""
    if (group.label, data["lm_text"]) != (DEMO, DEMO_TEXT):
        return []
    return [
        f"{DEMO_TEXT} was part of the pre-training of {DEMO}: this text is not new to the model, "
        "neither what it is trained on here nor the held-out lines.",
        "",
    ]


def _settings(study: dict[str, Any]) -> list[str]:
    lines = [(key, f"`{value}`") for key, value in study["settings"].items()]
    lines += [("versions", ", ".join(f"{k} {v}" for k, v in study["versions"].items()))]
    lines += [("seconds of all runs", f"{study['seconds']:.0f} ({clock(study['seconds'])})")]
    return table(("setting", "value"), lines)
