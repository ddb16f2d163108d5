"""A transcoder's scores as tables for the terminal, and in plain words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from ilo_fast._util.messages import counted, elide, listed, plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.report.columns import columns, pad
from ilo_fast.transcoders.evaluation.result import CASCADE, TranscoderScores

_WIDTH: Final = 96
_FEW_DOCUMENTS: Final = 20  # fewer, and intervals are too narrow
_FEW_TOKENS: Final = 100_000  # fewer, and a rare feature passes for a dead one
# What is "good" and what is "fair". Explained variance, dead share: published cross-layer
# transcoders reach 0.80 to 0.92, and 13 % dead (arXiv 2511.10840, 2603.21014). Recovery: nothing
# comparable is published; these are ours.
_EXPLAINED: Final = (0.8, 0.6)
_RECOVERED: Final = (0.8, 0.5)
_DEAD: Final = (0.15, 0.4)
_WORDS: Final = ("good", "fair", "poor")


def text_report(scores: TranscoderScores, *, legend: bool = True) -> str:
    """What ``ilo-fast clt eval`` prints: by layer, by language, in words, and what to know."""
    blocks = [_title(scores), _layer_table(scores), _language_table(scores)]
    if legend:
        blocks.append(_legend())
    blocks.append("\n".join(verdict(scores)))
    remarks = notes(scores)
    if remarks:
        blocks.append(_bullets(remarks))
    return "\n\n".join(blocks) + "\n"


def comparison_table(named: Mapping[str, TranscoderScores]) -> str:
    """Several transcoders side by side: the full cascade, and explained variance by layer.

    Raises
    ------
    ValueError
        They are of models with other numbers of layers.
    """
    shapes = {name: scores.n_layers for name, scores in named.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"they have {', '.join(f'{n}: {k} layers' for n, k in shapes.items())}")
    every = list(named.values())
    names = [elide(plain(name), 20) for name in named]
    wide = max(14, *map(columns, names))
    n_layers = every[0].n_layers
    rows: list[tuple[str, list[str]]] = [
        (f"EV, layer {layer}", [_number(s.explained_variance[0, layer]) for s in every])
        for layer in range(n_layers)
    ]
    rows += [
        ("EV, mean", [_number(_mean_ev(s)) for s in every]),
        ("L0, all layers", [f"{s.l0[0].sum():.1f}" for s in every]),
        ("dead", [_percent(s.dead_share[0].mean()) for s in every]),
        ("KL, cascade", [_number(s.kl[0, -1]) for s in every]),
        ("recovered (zero)", [_number(s.recovered_zero[0, -1]) for s in every]),
        ("recovered (mean)", [_number(s.recovered_mean[0, -1]) for s in every]),
        ("top-1", [_number(s.top1_agreement[0, -1]) for s in every]),
    ]
    lines = [" " * 18 + "".join("  " + " " * (wide - columns(n)) + n for n in names)]
    lines += [f"{label:<18}" + "".join(f"  {v:>{wide}}" for v in row) for label, row in rows]
    contexts = {(s.n_tokens[0], s.languages, s.info.get("windows_sha256")) for s in every}
    if len(contexts) > 1:
        lines.append(
            "They were not evaluated on the same text: the numbers are not comparable. Pass --text."
        )
    return "\n".join(lines) + "\n"


def verdict(scores: TranscoderScores) -> list[str]:
    """Is it any good: one line for each question, with the bounds of the words."""
    ev, dead = _mean_ev(scores), float(scores.dead_share[0].mean())
    span = scores.recovered_mean_interval[0, -1]
    back = math.nan if math.isnan(span[0]) else float(scores.recovered_mean[0, -1])
    words = [_word(ev, _EXPLAINED), _word(back, _RECOVERED)]
    lines = [
        f"explained variance {_number(ev)}, mean over layers: {_graded(words[0], _EXPLAINED)}",
        f"the full cascade keeps {_number(back)} ({_interval(span)}) of what the MLPs do for "
        f"prediction, against their mean: {_graded(words[1], _RECOVERED)}",
        f"dead features {_percent(dead)}: {_word(-dead, (-_DEAD[0], -_DEAD[1]))} "
        f"(good up to {_DEAD[0]:.0%}, fair up to {_DEAD[1]:.0%})",
        f"KL of the cascade {_number(scores.kl[0, -1])} nats; cross-entropy "
        f"{_number(scores.ce_model[0])}, replaced {_number(scores.ce_replacement[0, -1])}, MLPs at "
        f"their mean {_number(scores.ce_mean[0, -1])}",
    ]
    if len(scores.languages) > 1:
        means = scores.explained_variance[1:].mean(1)
        lowest, highest = int(means.argmin()), int(means.argmax())
        lines.append(
            f"explained variance is lowest in {scores.languages[lowest]} "
            f"({_number(means[lowest])}), highest in {scores.languages[highest]} "
            f"({_number(means[highest])})"
        )
    known = [word for word in words if word in _WORDS]
    worst = max(known, key=_WORDS.index) if known else "not known"
    meaning = {
        "good": "graphs drawn with it show most of what the model does",
        "fair": "graphs drawn with it leave much to error nodes: read them with these",
        "poor": "do not draw conclusions about the model from it; train longer, or with more "
        "features",
    }
    said = f": {meaning[worst]}" if worst in meaning else ""
    return [f"Is it any good? {worst.capitalize()}{said}.", *_wrapped(lines)]


def notes(scores: TranscoderScores) -> tuple[str, ...]:
    """What a reader of the numbers must know."""
    found = []
    counts = list(zip(scores.languages, scores.n_documents[1:].tolist(), strict=True))
    few = [f"{code} ({n})" for code, n in counts if n < _FEW_DOCUMENTS]
    if few:
        found.append(
            f"fewer than {_FEW_DOCUMENTS} documents of {listed(few)}: these numbers are uncertain, "
            "and their intervals too narrow; evaluate on more text"
        )
    other = scores.info.get("other_text")
    if other:
        found.append(
            f"not the text of the training: {listed(other)}; all lines of it were used, and the "
            "numbers are flattered where any of them was trained on"
        )
    n = int(scores.n_tokens[0])
    if n < _FEW_TOKENS:
        found.append(f"dead: active on none of {n:,} tokens; on more, rare features may turn up")
    for name, value in (("zero", scores.recovered_zero), ("mean", scores.recovered_mean)):
        where = [
            f"{group} {output if isinstance(output, str) else f'layer {output}'}"
            for g, group in enumerate(scores.groups)
            for o, output in enumerate(scores.outputs)
            if math.isnan(value[g, o]) and (g == 0 or output == CASCADE)
        ]
        if where:
            found.append(
                f"no recovery (-) against {name} ablation where that does no harm: {listed(where)}"
            )
    return tuple(found)


def _title(scores: TranscoderScores) -> str:
    kind = "cross-layer" if scores.info.get("cross_layer", True) else "per-layer"
    title = plain(scores.info.get("title", "")) or f"{kind} transcoder"
    n = [int(values[0]) for values in (scores.n_windows, scores.n_documents, scores.n_tokens)]
    text = "other text" if scores.info.get("other_text") else "held-out text"
    return (
        f"{elide(title, _WIDTH)}\n{kind} · {counted(scores.n_layers, 'layer')} of "
        f"{scores.n_features:,} features · {text}: "
        f"{counted(len(scores.languages), 'language')}, {n[1]:,} documents, "
        f"{n[0]:,} windows, {n[2]:,} tokens"
    )


def _layer_table(scores: TranscoderScores) -> str:
    lines = [
        f"{'layer':>7}  {'EV':>5} {'95 % of EV':^15} {'L0':>7} {'dead':>6} {'>10 %':>6} "
        f"{'>50 %':>6} {'KL':>8} {'rec.(0)':>8} {'rec.(m)':>8} {'top-1':>6}"
    ]
    for at, output in enumerate(scores.outputs):
        if isinstance(output, int):
            head = (
                f"{output:>7}  {_number(scores.explained_variance[0, at], 3):>5} "
                f"{_interval(scores.explained_variance_interval[0, at]):^15} "
                f"{scores.l0[0, at]:7.1f} {_percent(scores.dead_share[0, at]):>6} "
                f"{scores.above_tenth[at]:>6} {scores.above_half[at]:>6}"
            )
        else:
            head = (
                f"{output:>7}  {_number(_mean_ev(scores)):>5} {'':15} {scores.l0[0].sum():7.1f} "
                f"{_percent(scores.dead_share[0].mean()):>6} {scores.above_tenth.sum():>6} "
                f"{scores.above_half.sum():>6}"
            )
        lines.append(
            f"{head} {_number(scores.kl[0, at], 4):>8} {_recovered(scores, 'zero', 0, at):>8} "
            f"{_recovered(scores, 'mean', 0, at):>8} {_number(scores.top1_agreement[0, at]):>6}"
        )
    return "\n".join(lines)


def _language_table(scores: TranscoderScores) -> str:
    names = [elide(plain(describe_language(c)["name"]), 24) for c in scores.languages]
    names = ["all", *names]
    codes = ["", *(elide(plain(code), 12) for code in scores.languages)]
    wide = max(map(columns, [*names, "language"]))
    narrow = max(map(columns, [*codes, "code"]))
    lines = [
        f"  {pad('language', wide)}  {pad('code', narrow)} {'tokens':>8} {'docs':>6} {'EV':>6} "
        f"{'L0':>7} {'CE':>7} {'KL':>7} {'95 % of KL':^15} {'rec.(0)':>8} "
        f"{'rec.(m)':>8} {'top-1':>6}"
    ]
    for g, (name, code) in enumerate(zip(names, codes, strict=True)):
        lines.append(
            f"  {pad(name, wide)}  {pad(code, narrow)} {scores.n_tokens[g]:>8} "
            f"{scores.n_documents[g]:>6} {_number(scores.explained_variance[g].mean()):>6} "
            f"{scores.l0[g].sum():7.1f} {_number(scores.ce_model[g]):>7} "
            f"{_number(scores.kl[g, -1]):>7} {_interval(scores.kl_interval[g, -1]):^15} "
            f"{_recovered(scores, 'zero', g, -1):>8} {_recovered(scores, 'mean', g, -1):>8} "
            f"{_number(scores.top1_agreement[g, -1]):>6}"
        )
    return "\n".join(lines)


def _legend() -> str:
    entries = (
        "layer: this MLP alone is replaced, its inputs are true; cascade and the table of "
        "languages: all MLPs are replaced (EV there: mean over layers; L0: sum)",
        "EV: explained variance of what the MLP adds; of a language about its own mean",
        "L0: active features of a token; dead: active nowhere in this text; >10 %, >50 %: features "
        "active on more of the tokens than that",
        "KL(model || replacement), CE (cross-entropy): nats per predicted token",
        "rec.: cross-entropy recovered, 1 as good as the model, 0 as bad as the MLP at zero (0) or "
        "at its mean (m); ?: on other documents the ablation may do no harm: nothing to recover",
        "top-1: share of predictions whose first choice is the model's",
        "95 %: bootstrap over documents",
    )
    return "\n".join(_wrapped(entries))


def _recovered(scores: TranscoderScores, against: str, group: int, output: int) -> str:
    """Three decimals, with a question mark where the ablation may do no harm."""
    value = getattr(scores, f"recovered_{against}")[group, output]
    interval = getattr(scores, f"recovered_{against}_interval")[group, output]
    unsure = not math.isnan(value) and math.isnan(interval[0])
    return _number(value) + ("?" if unsure else " ")


def _mean_ev(scores: TranscoderScores) -> float:
    return float(scores.explained_variance[0].mean())


def _word(value: float, bounds: Sequence[float]) -> str:
    if math.isnan(value):
        return "not known"
    return _WORDS[sum(value < bound for bound in bounds)]


def _graded(word: str, bounds: Sequence[float]) -> str:
    return f"{word} (good from {bounds[0]:g}, fair from {bounds[1]:g})"


def _number(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _interval(pair: Sequence[float]) -> str:
    if math.isnan(pair[0]):
        return "-"
    return f"{pair[0]:.3f} - {pair[1]:.3f}"


def _wrapped(entries: Sequence[str]) -> list[str]:
    return [
        line for e in entries for line in textwrap.wrap(f"- {e}", _WIDTH, subsequent_indent="  ")
    ]


def _bullets(entries: Sequence[str]) -> str:
    return "Note\n" + "\n".join(_wrapped(entries))
