"""What a run came to: losses and evaluations for the card."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

_METRICS = ("loss", "accuracy", "macro_f1", "token_loss", "perplexity")


def results(state: Any, seconds: float) -> dict[str, Any]:
    """Of the Trainer's `state`, what the card keeps; a warning where training has diverged."""
    history = state.log_history
    losses = [{k: e[k] for k in ("step", "loss", "learning_rate")}
              for e in history if "loss" in e]  # fmt: skip
    evaluations = [
        {"step": entry["step"], **_metrics(entry)} for entry in history if "eval_loss" in entry
    ]
    last = evaluations[-1] if evaluations else {}
    ends = {"loss": losses[-1]["loss"] if losses else 0.0, "evaluation loss": last.get("loss", 0.0)}
    diverged = [f"{name} is {value}" for name, value in ends.items() if not math.isfinite(value)]
    if diverged:
        logger.warning(
            "training has diverged: the last %s; the model is of no use. Try a lower learning_rate",
            " and the last ".join(diverged),
        )
    return {
        "steps": state.global_step,
        "epochs": state.epoch,
        "seconds": round(seconds, 3),
        "losses": losses,
        "evaluations": evaluations,
        "metrics": {name: value for name, value in last.items() if name != "step"},
    }


def _metrics(entry: Mapping[str, Any]) -> dict[str, float]:
    return {name: entry[f"eval_{name}"] for name in _METRICS if f"eval_{name}" in entry}
