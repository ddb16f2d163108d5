"""What a finished training run is to its caller: a folder, its card, and what can be loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ilo_fast.models.output import suppress_output
from ilo_fast.training.records import OverlapRecord, read_overlap_log
from ilo_fast.training.run_folder import CARD_FILE, MODEL_FOLDER, OVERLAP_FILE, RunFolder
from ilo_fast.training.trainer import warn_of_divergence


class Trained(ABC):
    """A finished run, of this call or of an earlier one; a warning where it has diverged.

    Attributes
    ----------
    path : Path
        The model with its tokenizer, as ``from_pretrained`` loads them.
    card : dict
        The run metadata, ``run_card.json``: settings, data, versions, losses, evaluations, seconds.
    """

    def __init__(self, run: RunFolder, model: Any = None, tokenizer: Any = None) -> None:
        self.path = run.path / MODEL_FOLDER
        self.card = run.card
        self._model = model
        self._tokenizer = tokenizer
        try:
            warn_of_divergence(run.path, self.card)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{run.path / CARD_FILE} is damaged ({error!r}): put a copy back, or train anew "
                "with overwrite=True (command line: --overwrite)"
            ) from error

    @property
    def model(self) -> Any:
        """The model, in evaluation mode; loaded from `path` where it is not in memory."""
        if self._model is None:
            with suppress_output():
                self._model = self._loader().from_pretrained(self.path).eval()
        return self._model

    @property
    def tokenizer(self) -> Any:
        """The tokenizer; None for a model that was trained without one."""
        if self._tokenizer is None and (self.path / "tokenizer_config.json").is_file():
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(self.path)
        return self._tokenizer

    @property
    def overlap(self) -> list[OverlapRecord]:
        """The measurements, start to end; [] where none was asked for."""
        path = self.path.parent / OVERLAP_FILE
        return read_overlap_log(path) if self.card["overlap"] and path.is_file() else []

    @abstractmethod
    def _loader(self) -> Any:
        """The transformers auto class of the model."""
