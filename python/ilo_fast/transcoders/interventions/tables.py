"""What interventions did to a prompt, for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from ilo_fast._util.messages import counted
from ilo_fast.report.columns import columns, pad
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.interventions.result import (
    FeatureReading,
    InterventionResult,
    NextToken,
    PromptEffect,
)
from ilo_fast.transcoders.prompts import prompt_lines, shown_token

_WIDTH: Final = 96
_FROZEN: Final = {
    None: "attention, norms and MLPs react",
    "attention": "attention looks where it looked; norms and MLPs react",
    "all": "attention, norms, MLPs and other activations are held",
}


def text_report(result: InterventionResult, title: str, *, tokens: int = 5) -> str:
    """What ``ilo-fast clt intervene`` prints.

    tokens: how many of the likeliest before, and after, are in the table.
    """
    blocks = [f"{title}\n{_FROZEN[result.frozen]}"]
    for effect in result.prompts:
        blocks.append(prompt_lines(effect.tokens))
        blocks.append(_features(effect, result.interventions))
        blocks.append(_next_tokens(effect, tokens))
        if effect.continuation_before is not None:
            blocks.append(_continuations(effect))
    return "\n\n".join(blocks) + "\n"


def _features(effect: PromptEffect, interventions: Sequence[Intervention]) -> str:
    lines = ["Features, their activations"]
    for one in effect.features:
        named = [str(i) for i in interventions if (i.layer, i.feature) == (one.layer, one.feature)]
        name = ", ".join(named) or f"{one.layer}/{one.feature}"
        lines.append(f"  {name}: {_peak(one, effect.tokens)}{_step(one, bool(named))}")
    return "\n".join(lines)


def _peak(one: FeatureReading, tokens: Sequence[str]) -> str:
    active = int((one.before != 0).sum())
    if not active:
        return "not active in this prompt"
    at = int(one.before.argmax())
    return (
        f"active at {counted(active, 'token')}, at most {one.before[at]:.3g} "
        f"(at {at}, {shown_token(tokens[at])})"
    )


def _step(one: FeatureReading, is_changed: bool) -> str:
    moved = (one.after != one.before).nonzero()[0]
    if is_changed and not len(moved):
        return "; nothing changes, for it is not active where it was to be changed"
    if not len(moved):
        return ""
    at = int(moved[abs(one.after[moved] - one.before[moved]).argmax()])
    return (
        f"; changes at {counted(len(moved), 'token')}, most at {at}: {one.before[at]:.3g} to "
        f"{one.after[at]:.3g}"
    )


def _next_tokens(effect: PromptEffect, n: int) -> str:
    chosen: dict[int, NextToken] = {}
    for token in (*effect.likely_before[:n], *effect.likely_after[:n]):
        chosen.setdefault(token.token_id, token)
    rows = sorted(chosen.values(), key=lambda token: -max(token.before, token.after))
    wide = max(columns(shown_token(token.text)) for token in rows)
    wide = min(max(wide, 10), 40)
    lines = [pad("Next token", wide + 2) + "   before    after"]
    lines += [
        "  " + pad(shown_token(token.text), wide) + f"  {token.before:>7.2%}  {token.after:>7.2%}"
        for token in rows
    ]
    return "\n".join([*lines, f"  KL(before || after) {effect.kl:.3g} nats"])


def _continuations(effect: PromptEffect) -> str:
    lines = ["The prompt goes on, by the likeliest token"]
    for name, text in (
        ("before", effect.continuation_before),
        ("after", effect.continuation_after),
    ):
        wrapped = textwrap.wrap(shown_token(text or ""), _WIDTH - 10) or [""]
        lines.append(f"  {name:<8}{wrapped[0]}")
        lines += [" " * 10 + line for line in wrapped[1:]]
    if effect.continuation_before == effect.continuation_after:
        lines.append("  They are the same.")
    return "\n".join(lines)
