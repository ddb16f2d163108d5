"""OverlapCallback: the overlap of every layer, measured while any Trainer trains.

The training must not notice. A measurement runs without gradients or autocast, restores the mode of
every module, the random state and the number of threads, and its log entry swallows nobody else's.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import re
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback

from ilo_fast._util.checks import whole_number
from ilo_fast.corpora.opening import Corpus, open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.folders import display_name
from ilo_fast.pipeline import measure
from ilo_fast.scores.result import OverlapScores
from ilo_fast.training.kept_scores import (
    forget,
    keep_for_comparison,
    logged_metrics,
    without_replicates,
)
from ilo_fast.training.measuring import OverlapOptions
from ilo_fast.training.process import cuda_in_use, preserve_random_state
from ilo_fast.training.records import OverlapRecord, RecordFile

logger = logging.getLogger(__name__)

_SHARDING_MODULES = ("FullyShardedDataParallel", "XlaFullyShardedDataParallel")


class OverlapCallback(TrainerCallback):
    """Measure bridge, reach, ILO and translations of every layer in the course of training.

    For any ``transformers.Trainer``, also a subclass: ``Trainer(..., callbacks=[OverlapCallback(
    corpus)])`` or ``trainer.add_callback(OverlapCallback(corpus))``. It measures before the first
    step, at every evaluation, every `every` steps, and after the last step; never twice at one
    step. Training with it gives the same weights, to the bit, as training without it.

    Means over languages go through ``Trainer.log`` under ``{name}/ilo_layer_03`` and likewise
    ``bridge``, ``reach`` and (parallel text) ``translations``, with ``{name}/seconds`` and
    ``{name}/share_of_time``, what measuring costs. (TensorBoard and W&B show them below
    ``train/``.) All languages go to a file, see `output`. A measurement that fails while training
    is under way (not-finite representations, say) is a warning and a record in that file, not the
    end of the training; one that fails before the first step is an error.

    Under several processes, process zero alone measures and the others wait for it. Parameters that
    are sharded (FSDP, DeepSpeed ZeRO-3, tensor parallel) are not supported.

    Parameters
    ----------
    corpus
        A ParallelCorpus, a folder or a corpus name, or a mapping from language code to sentences.
        Best sentences that the training does not see.
    tokenizer
        None: the trainer's ``processing_class``, else the model's own.
    every
        Measure after every so many optimizer steps; None: not by steps.
    at_evaluation
        Measure at every evaluation during training.
    output
        The file, one JSON record per measurement, read by `read_overlap_log`. None:
        ``{name}.jsonl`` in the trainer's output folder. Resumed training goes on in it.
    name
        Prefix of the logged names. Several callbacks on one trainer need different ones.
    layers, batch_tokens, pooling, special_tokens, max_length, verify, tokenizer_languages
        As in :func:`~ilo_fast.extract`; the hooks are verified at the first measurement.
    n_neighbors, threshold, metric, backend, n_threads, parallel
        As in :func:`~ilo_fast.overlap`.
    intervals
        Also measure intervals. The last measurement is then in ``{name}_scores`` beside the file,
        as ``ilo-fast run`` leaves it, for ``ilo-fast compare``.

    Attributes
    ----------
    path : Path or None
        The file; None before training starts.
    model_name : str or None
        What records and figures call the model; None, unless it is set: what it calls itself.
    records : list of OverlapRecord
        The measurements of the present or last training, those before a resumption included.

    Raises
    ------
    ValueError, CorpusError, AccessError
        At construction for what can be known then, else when training starts.
    """

    def __init__(
        self,
        corpus: Corpus | ParallelCorpus | Mapping[str, Sequence[str]] | str | PathLike[str],
        *,
        tokenizer: Any = None,
        every: int | None = None,
        at_evaluation: bool = True,
        output: str | PathLike[str] | None = None,
        name: str = "overlap",
        layers: int | Sequence[int] | None = None,
        n_neighbors: int = 5,
        threshold: int = 3,
        metric: str = "cosine",
        backend: str = "auto",
        n_threads: int | None = None,
        parallel: bool | None = None,
        batch_tokens: int | None = None,
        pooling: str = "mean",
        special_tokens: str = "include",
        max_length: int | None = None,
        verify: bool = True,
        tokenizer_languages: Mapping[str, str] | None = None,
        intervals: bool = False,
    ) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(
                f"name={name!r} is the prefix of metrics and the name of a file: use letters, "
                "digits, '.', '_' and '-'"
            )
        self.corpus = open_corpus(corpus)
        self.tokenizer = tokenizer
        self.every = None if every is None else whole_number("every", every)
        self.at_evaluation = bool(at_evaluation)
        self.output = None if output is None else Path(output).expanduser()
        self.name = name
        self.options = OverlapOptions(
            layers=layers, n_neighbors=n_neighbors, threshold=threshold, metric=metric,
            backend=backend, n_threads=n_threads, parallel=parallel, batch_tokens=batch_tokens,
            pooling=pooling, special_tokens=special_tokens, max_length=max_length, verify=verify,
            tokenizer_languages=tokenizer_languages, intervals=intervals,
        )  # fmt: skip
        self.path: Path | None = None
        self.model_name: str | None = None
        self.records: list[OverlapRecord] = []
        self._settings: dict[str, Any] = {
            "corpus": self.corpus.name,
            "corpus_fingerprint": self.corpus.sha256,
            "languages": list(self.corpus.sentences),
            "n_sentences": [len(lines) for lines in self.corpus.sentences.values()],
            **self.options.identity(),
        }
        self._trainer: weakref.ref[Any] | None = None
        self._measures = False  # in this process, and training is under way
        self._started = False
        self._verified = False
        self._began = self._spent = 0.0

    def __getstate__(self) -> dict[str, Any]:
        # Some hyperparameter searches pickle the trainer with its callbacks; a weak reference
        # cannot be, and is looked up anew when training starts.
        return {**self.__dict__, "_trainer": None}

    # ---- events, in the order in which a Trainer fires them

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer, model = _find_trainer(self), kwargs["model"]
        self._trainer = weakref.ref(trainer)
        _refuse_sharded(model)
        self.path = self.output or Path(args.output_dir) / f"{self.name}.jsonl"
        self._refuse_twin(trainer, args)
        self._settings = {**self._settings, "model": self.model_name or _model_name(model)}
        self.records = []
        self._measures = bool(state.is_world_process_zero)
        self._started = False
        self._began, self._spent = time.perf_counter(), 0.0
        if self._measures:
            self.records = RecordFile(self.path).begin(state.global_step, self._settings)
            # Resumed training was measured before its first step by the process that began it.
            self._started = bool(self.records)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        # Not in on_train_begin: there, callbacks after this one are not ready to log.
        return None if self._started else self._visit("start", state, control, kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self.every is None or state.global_step % self.every:
            return None
        return self._visit("step", state, control, kwargs)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self.at_evaluation:
            return self._visit("evaluate", state, control, kwargs)
        return self._visit("end", state, control, kwargs) if control.should_training_stop else None

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        # The end of training, as a rule: later, the best checkpoint may have replaced the weights,
        # and loggers may have closed.
        return self._visit("end", state, control, kwargs) if control.should_training_stop else None

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        try:
            best = getattr(state, "best_global_step", None)
            if not args.load_best_model_at_end or best in (None, state.global_step):
                return self._visit("end", state, control, kwargs)
            if self._measures and not self._is_recorded(state.global_step):
                logger.warning(
                    "%s: the end of training (step %d) was not measured: the weights of step %d, "
                    "the best, have been loaded in place of its",
                    self.name, state.global_step, best,
                )  # fmt: skip
            return None
        finally:
            self._measures = False

    # ----

    def _visit(self, event: str, state: Any, control: Any, kwargs: Mapping[str, Any]) -> Any:
        """Measure, record and log, unless this step has been measured; the control to go on with.

        Outside of training (a separate ``trainer.evaluate()``), nothing is measured.
        """
        if not self._measures or self._is_recorded(state.global_step):
            return None
        first, self._started = not self._started, True
        record = self._measure("start" if first else event, first, state, kwargs)
        self._keep(record, first)
        return control if record.scores is None else self._log(record, control)

    def _is_recorded(self, step: int) -> bool:
        return bool(self.records) and self.records[-1].step == step

    def _measure(
        self, event: str, first: bool, state: Any, kwargs: Mapping[str, Any]
    ) -> OverlapRecord:
        scores, failed = None, None
        if cuda_in_use():
            torch.cuda.synchronize()  # training steps still under way are not our time
        began = time.perf_counter()
        try:
            with _undisturbed():
                scores = self._scores(kwargs["model"], kwargs.get("processing_class"))
        except Exception as error:
            # Before the first step every error ends the training, which has lost nothing yet; but
            # resuming from weights that have diverged is no mistake in the settings.
            if first and not (isinstance(error, FloatingPointError) and state.global_step > 0):
                raise
            failed = f"{type(error).__name__}: {error}"
            logger.warning(
                "%s: the measurement at step %d failed, training goes on: %s",
                self.name, state.global_step, failed,
            )  # fmt: skip
        now = time.perf_counter()
        self._spent += now - began
        return OverlapRecord(
            step=int(state.global_step),
            epoch=None if state.epoch is None else float(state.epoch),
            event=event,
            seconds=now - began,
            scores=scores,
            failed=failed,
            share_of_time=None if first else self._spent / max(now - self._began, 1e-9),
            settings=self._settings,
        )

    def _scores(self, model: nn.Module, processing_class: Any) -> OverlapScores:
        tokenizer = self.tokenizer
        if tokenizer is None and processing_class is not None:
            # A processor of several kinds of input holds its tokenizer.
            tokenizer = getattr(processing_class, "tokenizer", processing_class)
        options = self.options
        scores = measure(
            model, self.corpus, tokenizer=tokenizer,
            layers=options.layers, n_neighbors=options.n_neighbors, threshold=options.threshold,
            metric=options.metric, backend=options.backend, n_threads=options.n_threads,
            parallel=options.parallel, batch_tokens=options.batch_tokens,
            pooling=options.pooling, special_tokens=options.special_tokens,
            max_length=options.max_length, verify=options.verify and not self._verified,
            tokenizer_languages=options.tokenizer_languages, intervals=options.intervals,
        )  # fmt: skip
        self._verified = True
        corpus = self._settings["corpus"]
        scores.info["run"] = {
            "model_name": self._settings["model"],
            "corpus_name": "demo corpus" if corpus == "demo" else corpus,
        }
        return scores

    def _keep(self, record: OverlapRecord, first: bool) -> None:
        self.records.append(without_replicates(record))
        assert self.path is not None
        try:
            RecordFile(self.path).append(record)
            folder = self.path.with_name(f"{self.name}_scores")
            if record.scores is not None and record.scores.replicates is not None:
                keep_for_comparison(folder, record.scores)
            elif self.options.intervals:
                forget(folder)
        except OSError as error:
            if first:
                raise
            logger.warning(
                "%s: the measurement at step %d could not be written to %s: %s",
                self.name, record.step, self.path, error,
            )  # fmt: skip

    def _log(self, record: OverlapRecord, control: Any) -> Any:
        """Through the Trainer to all who listen; the control as it was but for their wishes."""
        trainer = self._trainer() if self._trainer is not None else None
        if trainer is None or record.scores is None:
            return control
        before = control.should_log
        # The Trainer's own method, not an override: those of many subclasses add means of what the
        # steps have gathered since the last entry, and start to gather anew.
        Trainer.log(trainer, logged_metrics(self.name, record, record.scores))
        # Logging counts as the entry that was asked for at this step, but that one is the loss.
        trainer.control.should_log = before
        return trainer.control

    def _refuse_twin(self, trainer: Any, args: Any) -> None:
        for other in trainer.callback_handler.callbacks:
            if other is self or not isinstance(other, OverlapCallback):
                continue
            theirs = other.output or Path(args.output_dir) / f"{other.name}.jsonl"
            if other.name == self.name or theirs == self.path:
                raise ValueError(
                    f"two OverlapCallbacks on one trainer have name={self.name!r} and "
                    f"name={other.name!r}, and write to {self.path} and {theirs}: give each a "
                    "name= and an output= of its own"
                )


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Random state and number of threads as before, whatever happens inside."""
    threads = torch.get_num_threads()
    try:
        # Gradient checkpointing of adapters makes the embeddings' output ask for gradients.
        with preserve_random_state(), torch.no_grad():
            yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def _find_trainer(callback: OverlapCallback) -> Any:
    """The Trainer that is firing an event at `callback`.

    transformers hands a callback the model and much else, but not the trainer. It is among the
    callers: the first method whose object is a Trainer that has this callback.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_argcount:
            owner = frame.f_locals.get(frame.f_code.co_varnames[0])
            if isinstance(owner, Trainer) and any(
                other is callback for other in owner.callback_handler.callbacks
            ):
                return owner
        frame = frame.f_back
    raise RuntimeError(
        "OverlapCallback was called by something other than a transformers.Trainer that has it "
        "among its callbacks: pass it as Trainer(callbacks=[...]) or to trainer.add_callback()"
    )


def _refuse_sharded(model: nn.Module) -> None:
    """Where each process holds a part of the weights, one process alone cannot run the model."""
    found = None
    if any(type(module).__name__ in _SHARDING_MODULES for module in model.modules()):
        found = "FSDP"
    for parameter in model.parameters():
        if hasattr(parameter, "ds_id"):
            found = "DeepSpeed ZeRO-3"
        elif hasattr(parameter, "device_mesh"):
            found = "FSDP or tensor parallelism"
    if found is not None:
        raise ValueError(
            f"OverlapCallback does not support models whose parameters are sharded ({found}): "
            "train with DDP or ZeRO stage 2 at most, or leave the callback out and measure the "
            "saved checkpoints with ilo_fast.measure()"
        )


def _model_name(model: nn.Module) -> str:
    """A model's name for titles: a Hub name as it is, of a folder the last part."""
    name = str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")
    if not name:
        return type(model).__name__
    return display_name(name)
