"""The loop that trains a transcoder in a run's folder: steps, log, checkpoints, evaluations."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ilo_fast._util.memory import available_memory
from ilo_fast._util.progress import cost_bar
from ilo_fast.models.forward import evaluating
from ilo_fast.training.checkpoint_mark import mark_complete
from ilo_fast.training.checkpoint_pace import CheckpointPace
from ilo_fast.training.process import deferred_interrupts
from ilo_fast.training.run_folder import LOG_FILE, RunFolder
from ilo_fast.transcoders.activations import BatchTopK
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.training.buffer import ShuffleBuffer, read_batch
from ilo_fast.transcoders.training.calibration import go_on_from, start_from_data
from ilo_fast.transcoders.training.log import Reporters, TrainingLog
from ilo_fast.transcoders.training.optimisation import Optimisation, Schedule, StepRecord
from ilo_fast.transcoders.training.options import TranscoderOptions
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import Windows

logger = logging.getLogger(__name__)

SKIP_POSITIONS: Final = 1  # the first token of a window is an attention sink
_STATE: Final = "state.safetensors"
_EVALUATIONS: Final = 5
_WINDOWS, _LAST_WINDOWS = 256, 1024  # held out, that are evaluated on meanwhile and at the end
_THRESHOLD_TOKENS: Final = 8192  # that thresholds are calibrated on


class TranscoderTraining:
    """A training of a transcoder that has not begun.

    Parameters
    ----------
    reader
        Of the language model.
    train, held_out
        Windows of text.
    run
        The folder, held.
    initial
        A transcoder to start from; None: random weights.
    """

    def __init__(
        self,
        reader: MLPReader,
        train: Windows,
        held_out: Windows,
        run: RunFolder,
        options: TranscoderOptions,
        initial: CrossLayerTranscoder | None = None,
    ) -> None:
        self._reader = reader
        self._initial = initial
        self._train = train
        self._held_out = held_out
        self._run = run
        self._options = options
        self._buffer = ShuffleBuffer(
            reader, train,
            batch_tokens=min(options.batch_tokens, options.tokens),
            buffer_tokens=min(options.buffer_tokens, options.tokens),
            skip_positions=SKIP_POSITIONS, seed=options.seed, autocast=options.autocast,
        )  # fmt: skip
        buffer = self._buffer
        self.steps = max(
            1, round(options.tokens * buffer.batches_per_round / buffer.tokens_per_round)
        )
        check_size(reader, options)
        self.transcoder = CrossLayerTranscoder(
            len(reader.sites), reader.parts.dim, options.n_features,
            activation=options.activation, cross_layer=options.cross_layer, seed=options.seed,
        ).to(options.place)  # fmt: skip

    def go(self) -> dict[str, Any]:
        """Train, on from the run's checkpoint if it has one; the results for the card.

        Raises
        ------
        FloatingPointError
            A loss or gradient that is no finite number; names the step, and what is kept.
        KeyboardInterrupt
            After Ctrl-C, once a checkpoint of the last step is written.
        """
        optimisation = self._started()
        done = optimisation.steps_done
        options, run, steps = self._options, self._run, self.steps
        log = TrainingLog(run.path / LOG_FILE, done)
        pace = CheckpointPace(options.save_steps, run.seconds_spent())
        log_every = options.logging_steps or max(1, min(10, steps // 20))
        evaluate_every = options.eval_steps or max(1, math.ceil(steps / _EVALUATIONS))
        metrics: dict[str, Any] = {}
        with (
            deferred_interrupts() as interrupted,
            contextlib.closing(Reporters(options.report_to, run.path, steps)) as reporters,
            cost_bar(options.progress, "train", cost=steps, items=steps, unit="step") as bar,
        ):
            bar.advance(done, done, free=True)
            for step in range(done + 1, steps + 1):
                batch = self._buffer.batch(step - 1)
                try:
                    record = optimisation.step(batch.x, batch.y)
                except FloatingPointError as error:
                    raise FloatingPointError(self._broken(str(error))) from error
                bar.advance(1, 1)
                if step == 1 or step % log_every == 0 or step == steps:
                    self._log(log, reporters, optimisation, record)
                if step % evaluate_every == 0 or step == steps:
                    self._check_weights(optimisation)
                    self._calibrate(step)
                    metrics = self.evaluated(_LAST_WINDOWS if step == steps else _WINDOWS)
                    log.add({"step": step, "held_out": metrics})
                    means = {name: mean_of(metrics, name) for name in _LAYERED}
                    reporters.log(step, {f"eval_{k}": v for k, v in means.items()})
                if step < steps and (interrupted() or pace.is_due(step)):
                    self._save(optimisation, pace)
                if interrupted() and step < steps:
                    raise KeyboardInterrupt
        seconds = pace.seconds
        return {
            "steps": optimisation.steps_done,
            "tokens": optimisation.tokens_done,
            "passes": round(
                optimisation.tokens_done / max(1, self._train.ids[:, SKIP_POSITIONS:].numel()), 3
            ),
            "seconds": round(seconds, 3),
            "seconds_in_model": round(self._buffer.seconds, 3),  # since it was last resumed
            "tokens_per_second": round(optimisation.tokens_done / max(seconds, 1e-9)),
            "losses": [
                {name: entry[name] for name in ("step", "loss", "learning_rate")}
                for entry in log.entries
                if "loss" in entry
            ],
            "metrics": metrics,
        }

    def _started(self) -> Optimisation:
        """At the first step, or at the one after the checkpoint."""
        options, checkpoint = self._options, self._run.checkpoint
        schedule = Schedule(
            steps=self.steps,
            learning_rate=options.learning_rate,
            warmup_share=options.warmup_share,
            decay_share=options.decay_share,
            sparsity_coefficient=options.sparsity_coefficient,
            sparsity_warmup_share=options.sparsity_warmup_share,
        )
        variance = torch.ones(self.transcoder.n_layers, device=options.place)
        if checkpoint is None:
            first = self._buffer.round_of(0)
            if self._initial is None:
                variance = start_from_data(self.transcoder, first.x, first.y, target_l0=options.l0)
            else:
                variance = go_on_from(self.transcoder, self._initial, first.x, first.y)
        optimisation = Optimisation(
            self.transcoder, variance, schedule,
            max_grad_norm=options.max_grad_norm, dead_after=options.dead_after,
            auxiliary_coefficient=options.auxiliary_coefficient,
            auxiliary_features=options.auxiliary_features,
        )  # fmt: skip
        if checkpoint is not None:
            logger.info("%s: training goes on from %s", self._run.path, checkpoint.name)
            optimisation.load_state(load_file(checkpoint / _STATE))
        return optimisation

    def _log(
        self,
        log: TrainingLog,
        reporters: Reporters,
        optimisation: Optimisation,
        record: StepRecord,
    ) -> None:
        numbers = {
            "loss": record.loss,
            "penalty": record.penalty,
            "auxiliary": record.auxiliary,
            "learning_rate": record.learning_rate,
            "gradient_norm": record.gradient_norm,
        }
        layers = {
            "explained_variance": 1 - record.unexplained,
            "l0": record.l0,
            "dead": record.dead,
        }
        log.add(
            {
                "step": optimisation.steps_done,
                "tokens": optimisation.tokens_done,
                **{name: float(f"{value:.6g}") for name, value in numbers.items()},
                **{name: _rounded(value) for name, value in layers.items()},
            }
        )
        means = {name: float(value.mean()) for name, value in layers.items()}
        reporters.log(optimisation.steps_done, numbers | means)
        logger.debug(
            "step %d of %d: loss %.4f, explained variance %.3f, L0 %.1f, dead %.1f %%",
            optimisation.steps_done, self.steps, record.loss, means["explained_variance"],
            means["l0"], 100 * means["dead"],
        )  # fmt: skip

    def _calibrate(self, step: int) -> None:
        """Set the thresholds of BatchTopK by tokens of the round of a step."""
        if isinstance(self.transcoder.activation, BatchTopK):
            self.transcoder.calibrate(self._buffer.round_of(step - 1).x[:_THRESHOLD_TOKENS])

    def evaluated(self, most: int) -> dict[str, Any]:
        """Explained variance, L0 and dead share of every layer, on windows that are held out."""
        order = np.random.default_rng(self._options.seed).permutation(len(self._held_out))
        return held_out_metrics(
            self._reader, self.transcoder, self._held_out, order[:most], self._options.autocast
        )

    def _save(self, optimisation: Optimisation, pace: CheckpointPace) -> None:
        self._check_weights(optimisation)
        folder = self._run.path / f"checkpoint-{optimisation.steps_done}"
        folder.mkdir()
        state = {name: value.cpu() for name, value in optimisation.state().items()}
        save_file(state, folder / _STATE)
        mark_complete(folder, pace.seconds)
        pace.saved()
        self._run.drop_old_checkpoints()

    def _check_weights(self, optimisation: Optimisation) -> None:
        """Before they are judged, or kept."""
        try:
            optimisation.check_finite()
        except FloatingPointError as error:
            raise FloatingPointError(self._broken(str(error))) from error

    def _broken(self, what: str) -> str:
        kept = self._run.last_checkpoint()
        where = "there is no checkpoint yet" if kept is None else f"{kept} is kept"
        return (
            f"{self._run.path}: training broke down at {what}; {where}. Train anew with a lower "
            "learning_rate in another output_dir, or with overwrite=True (command line: "
            "--overwrite)"
        )


def check_size(reader: MLPReader, options: TranscoderOptions) -> None:
    """Refuse a transcoder that cannot be held in memory while it is trained."""
    n_layers, d = len(reader.sites), reader.parts.dim
    spans = n_layers * (n_layers + 1) // 2 if options.cross_layer else n_layers
    numbers = options.n_features * ((n_layers + spans) * d + 2 * n_layers)
    needed = 4 * 4 * numbers  # weights, gradients and two moments, in float32
    device = options.place
    there = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    if there is not None and needed > there:
        raise ValueError(
            f"n_features={options.n_features} makes a transcoder of {numbers:,} numbers, which "
            f"takes {needed / 1e6:,.0f} MB to train, and {there / 1e6:,.0f} MB are free: take fewer"
        )


_LAYERED: Final = ("explained_variance", "l0", "dead")


@torch.no_grad()
def held_out_metrics(
    reader: MLPReader,
    transcoder: CrossLayerTranscoder,
    windows: Windows,
    rows: Any,
    autocast: torch.dtype | None = None,
) -> dict[str, Any]:
    """Per layer: explained variance of what the MLPs add, L0, and the share that never fired.

    The variance is that of y about its mean over these tokens.
    """
    layers, n = transcoder.n_layers, 0
    fired = torch.zeros(layers * transcoder.n_features, dtype=torch.int64)
    sums: dict[str, torch.Tensor] = {}
    with evaluating(transcoder):
        for some in np.array_split(np.asarray(rows), max(1, len(rows) // 32)):
            batch = read_batch(
                reader, windows, some, skip_positions=SKIP_POSITIONS, autocast=autocast
            )
            features = transcoder.encode(batch.x)
            error = (transcoder.decode(features) - batch.y).cpu().double()
            y = batch.y.cpu().double()
            for name, value in (
                ("error", error.square().sum(dim=(0, 2))), ("y", y.sum(dim=0)),
                ("square", y.square().sum(dim=(0, 2))),
            ):  # fmt: skip
                sums[name] = sums.get(name, 0) + value
            indices = features.indices[features.values > 0].long().cpu()
            fired += torch.bincount(indices, minlength=len(fired))
            n += len(batch)
    variance = sums["square"] - sums["y"].square().sum(dim=1) / n
    by_layer = fired.view(layers, -1)
    return {
        "tokens": n,
        "explained_variance": _rounded(1 - sums["error"] / variance),
        "l0": _rounded(by_layer.sum(dim=1) / n),
        "dead": _rounded((by_layer == 0).double().mean(dim=1)),
    }


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def mean_of(metrics: Mapping[str, Any], name: str) -> float:
    """Over the layers."""
    values = metrics[name]
    return float(sum(values) / len(values))
