"""`evaluate_transcoder`: explained variance, L0, and what a model predicts with its MLPs replaced.

Every number is a ratio of sums over tokens. The sums are kept by document, in float64: those of a
language are sums over its documents, those of all text over all, and documents are what intervals
draw again. Two passes: the first for the means that variances are about and that ablation needs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.messages import listed
from ilo_fast._util.progress import CostBar, cost_bar
from ilo_fast._util.versions import versions
from ilo_fast.models.forward import evaluating, inference
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.evaluation.result import DENSITY_EDGES, TranscoderScores
from ilo_fast.transcoders.evaluation.summary import summarised
from ilo_fast.transcoders.replacement import Reading, ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import Windows

_BATCH_BYTES: Final = 100e6  # of a batch's logits, held six times over, or pre-activations

Floats = NDArray[np.float64]


def evaluate_transcoder(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    windows: Windows,
    *,
    skip_positions: int | None = None,
    batch_tokens: int | None = None,
    seed: int = 0,
    n_boot: int = 2000,
    info: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> TranscoderScores:
    """How well a transcoder stands in for a model's MLPs, by layer and by language.

    Parameters
    ----------
    model
        A causal language model with its head, on its device. It is left as it is.
    transcoder
        Trained on it; left as it is.
    windows
        Text that the transcoder was not trained on.
    skip_positions
        So many positions at the beginning of each window are neither replaced nor counted. None:
        as in `ReplacementModel`.
    batch_tokens
        Tokens in a batch. None: as many as 100 MB of logits, or of pre-activations, hold. Results
        do not depend on it.
    seed, n_boot
        Of the bootstrap over documents, and its number of draws.
    info
        Kept with the scores. A ``"title"`` stands above tables and figures.
    progress
        A bar on stderr.

    Raises
    ------
    ValueError
        As `ReplacementModel`; windows that are too short, or of another model's token ids; a
        language without windows.
    FloatingPointError
        The model's own logits are not finite.

    Notes
    -----
    Of a model with L layers every window takes 3 L + 5 forward passes.
    """
    began = time.perf_counter()
    whole_number("n_boot", n_boot)
    whole_number("seed", seed, least=0)
    replacement = ReplacementModel(model, transcoder, skip_positions=skip_positions)
    _check_windows(windows, replacement)
    if batch_tokens is None:
        numbers = replacement.parts.vocabulary or 32_000
        numbers = max(numbers, transcoder.n_layers * transcoder.n_features)
        batch_tokens = max(1, int(_BATCH_BYTES // (4 * numbers)))
    rows = max(1, whole_number("batch_tokens", batch_tokens) // windows.ids.shape[1])
    passes = 3 * replacement.n_layers + 5
    with (
        evaluating(transcoder),
        inference(transcoder),
        cost_bar(
            progress, "evaluating", cost=passes * len(windows), items=len(windows), unit="window"
        ) as bar,
    ):
        it = _Evaluation(replacement, windows, rows, bar)
        it.find_means()
        it.measure()
    return TranscoderScores(
        languages=windows.languages,
        n_features=transcoder.n_features,
        skip_positions=replacement.skip_positions,
        seed=seed,
        n_boot=n_boot,
        info={
            **(info or {}),
            "cross_layer": transcoder.cross_layer,
            "context_length": windows.ids.shape[1],
            "seconds": round(time.perf_counter() - began, 2),
            "versions": versions("torch", "transformers"),
        },
        **it.counts(),
        **it.densities(),
        **summarised(it.tally.sums(), it.language_of_document, windows.languages, seed, n_boot),
    )


def _check_windows(windows: Windows, replacement: ReplacementModel) -> None:
    tokens = windows.ids.shape[1]
    least = replacement.skip_positions + 2
    if not len(windows) or tokens < least:
        raise ValueError(
            f"windows are {len(windows)} of {tokens} tokens, wanted one or more of at least "
            f"{least}: the first {replacement.skip_positions} are skipped, the last predicts "
            "nothing"
        )
    vocabulary = replacement.parts.vocabulary
    if vocabulary is not None and int(windows.ids.max()) >= vocabulary:
        raise ValueError(
            f"windows hold token id {int(windows.ids.max())}, model knows {vocabulary}: they are "
            "of another tokenizer"
        )
    present = set(windows.language.tolist())
    absent = [code for i, code in enumerate(windows.languages) if i not in present]
    if absent:
        raise ValueError(
            f"windows hold no text of {listed(absent)}: give more text, or leave it out"
        )


class _Tally:
    """Sums over the tokens of each document."""

    def __init__(self, n_documents: int) -> None:
        self._n = n_documents
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, name: str, documents: torch.Tensor, values: torch.Tensor) -> None:
        """documents: (tokens,); values: (tokens,) or (tokens, k)."""
        values = values.reshape(len(documents), -1).cpu().double()
        if name not in self._sums:
            self._sums[name] = torch.zeros(self._n, values.shape[1], dtype=torch.float64)
        self._sums[name].index_add_(0, documents, values)

    def sums(self) -> dict[str, Floats]:
        """(documents, k) each."""
        return {name: values.numpy() for name, values in self._sums.items()}


@dataclass(frozen=True)
class _Batch:
    ids: torch.Tensor  # (rows, tokens), on the model's device
    languages: torch.Tensor  # (rows,), on the CPU
    documents: torch.Tensor  # (rows, tokens), on the CPU, counted over all languages


class _Evaluation:
    """The sums of one evaluation."""

    means: torch.Tensor  # (1 + languages, layers, d): of all tokens, of each language's

    def __init__(
        self, replacement: ReplacementModel, windows: Windows, rows: int, bar: CostBar
    ) -> None:
        self.model = replacement
        self.windows = windows
        self.rows = rows
        self.bar = bar
        pairs = torch.stack(
            [windows.language[:, None].expand_as(windows.document), windows.document]
        )
        pairs = pairs[:, :, replacement.skip_positions :]
        known, places = torch.unique(pairs.flatten(1), dim=1, return_inverse=True)
        self.language_of_document = known[0].numpy()
        self.documents = places.view(pairs.shape[1:])
        self.tally = _Tally(known.shape[1])
        coder = replacement.transcoder
        self.width = coder.n_layers * coder.n_features
        self.active = torch.zeros(len(windows.languages), self.width, dtype=torch.int64)

    def batches(self) -> Iterator[_Batch]:
        device = input_device(self.model.parts)
        for start in range(0, len(self.windows), self.rows):
            part = slice(start, start + self.rows)
            languages = self.windows.language[part]
            yield _Batch(self.windows.ids[part].to(device), languages, self.documents[part])

    def find_means(self) -> None:
        skip, n_layers = self.model.skip_positions, self.model.n_layers
        n, dim = len(self.windows.languages), self.model.parts.dim
        sums = torch.zeros(n, n_layers, dim, dtype=torch.float64)
        for batch in self.batches():
            reading = self.model.read(batch.ids)
            self._check_finite(reading, batch)
            sums.index_add_(0, batch.languages, _wide(reading.y[:, skip:]).sum(1).cpu().double())
            self.bar.advance(len(batch.ids), 0)
        windows = torch.bincount(self.windows.language, minlength=n)
        tokens = windows * (self.windows.ids.shape[1] - skip)
        total = sums.sum(0, keepdim=True) / tokens.sum()
        self.means = torch.cat([total, sums / tokens[:, None, None]])

    def measure(self) -> None:
        for batch in self.batches():
            reading = self.model.read(batch.ids)
            guess = self._reconstruct(reading, batch)
            self._predict(reading.logits, guess, batch)
            self.bar.advance((self.passes - 1) * len(batch.ids), len(batch.ids))

    @property
    def passes(self) -> int:
        return 3 * self.model.n_layers + 5

    def _check_finite(self, reading: Reading, batch: _Batch) -> None:
        wrong = ~reading.logits.isfinite().flatten(1).any(1).cpu()
        wrong |= ~reading.y.isfinite().flatten(1).all(1).cpu()
        if bool(wrong.any()):
            language = self.windows.languages[int(batch.languages[wrong][0])]
            raise FloatingPointError(
                f"model gives numbers that are not finite on a window of {language}: try it in "
                "float32"
            )

    def _reconstruct(self, reading: Reading, batch: _Batch) -> torch.Tensor:
        """Errors and features; the outputs in place of y, (rows, tokens - skipped, layers, d)."""
        coder, skip = self.model.transcoder, self.model.skip_positions
        x, y = (value[:, skip:].flatten(0, 1) for value in (reading.x, reading.y))
        weight = coder.encoder_weight
        features = coder.encode(x.to(weight.device, weight.dtype))
        guess = coder.decode(features).to(y.device)
        documents = batch.documents.flatten()
        languages = batch.languages.repeat_interleave(batch.documents.shape[1])
        self.tally.add("tokens", documents, torch.ones(len(documents)))
        for name, at, of_rows in (
            ("error", None, None),
            ("spread", 0, None),
            ("own_spread", None, languages + 1),
        ):
            columns = []
            for layer in range(self.model.n_layers):  # one at a time, for memory
                if name == "error":
                    other = _wide(guess[:, layer])
                else:
                    mean = self.means[at if of_rows is None else of_rows, layer]
                    other = mean.to(y.device, _wide(y[:1, layer]).dtype)
                columns.append((_wide(y[:, layer]) - other).square().sum(-1))
            self.tally.add(name, documents, torch.stack(columns, dim=1))
        on = features.values != 0
        tokens, indices = features.tokens[on].cpu(), features.indices[on].long().cpu()
        layers = indices // coder.n_features
        counts = torch.bincount(
            tokens * coder.n_layers + layers, minlength=len(documents) * coder.n_layers
        )
        self.tally.add("active", documents, counts.view(len(documents), -1))
        of = torch.bincount(languages[tokens] * self.width + indices, minlength=self.active.numel())
        self.active += of.view_as(self.active)
        return guess.view(*batch.documents.shape, *guess.shape[1:])

    def _predict(self, logits: torch.Tensor, guess: torch.Tensor, batch: _Batch) -> None:
        skip, n_layers = self.model.skip_positions, self.model.n_layers
        documents = batch.documents[:, :-1].flatten()
        targets = batch.ids[:, skip + 1 :]
        own = _log_p(logits, skip)
        best = own.argmax(-1)
        self.tally.add("predictions", documents, torch.ones(len(documents)))
        self.tally.add("ce_model", documents, _cross_entropy(own, targets))

        def predicted(within: contextlib.AbstractContextManager[None]) -> torch.Tensor:
            with within:
                return _log_p(self.model.logits(batch.ids), skip)

        found: dict[str, list[torch.Tensor]] = {
            name: [] for name in ("ce_replacement", "kl", "top1", "ce_zero", "ce_mean")
        }
        for output in range(n_layers + 1):
            cascade = output == n_layers
            chosen = None if cascade else [output]
            # One layer alone has its true inputs: what it is replaced by is known already.
            replaced = (
                self.model.replaced()
                if cascade
                else self.model.with_outputs({output: guess[:, :, output]})
            )
            other = predicted(replaced)
            found["ce_replacement"].append(_cross_entropy(other, targets))
            found["kl"].append(_kl(own, other))
            found["top1"].append((other.argmax(-1) == best).to(other.dtype))
            del other
            for name, means in (("ce_zero", None), ("ce_mean", self.means[0])):
                other = predicted(self.model.ablated(chosen, means))
                found[name].append(_cross_entropy(other, targets))
                del other
        for name, columns in found.items():
            self.tally.add(name, documents, torch.stack(columns, dim=-1).flatten(0, 1))

    def counts(self) -> dict[str, Any]:
        """How much was counted: of all, and of each language."""
        n, windows = len(self.windows.languages), self.windows
        of_windows = np.bincount(windows.language.numpy(), minlength=n)
        length = windows.ids.shape[1] - self.model.skip_positions
        found = {
            "n_windows": of_windows,
            "n_documents": np.bincount(self.language_of_document, minlength=n),
            "n_tokens": of_windows * length,
            "n_predictions": of_windows * (length - 1),
        }
        return {k: np.concatenate([[v.sum()], v]).astype(np.int64) for k, v in found.items()}

    def densities(self) -> dict[str, Any]:
        shape = (-1, self.model.n_layers, self.model.transcoder.n_features)
        by_group = torch.cat([self.active.sum(0, keepdim=True), self.active]).view(shape).numpy()
        density = by_group[0] / self.counts()["n_tokens"][0]
        inner = np.array(DENSITY_EDGES[1:-1])
        histogram = np.zeros((self.model.n_layers, len(DENSITY_EDGES) - 1), np.int64)
        for layer, shares in enumerate(density):
            bins = np.searchsorted(inner, np.log10(shares[shares > 0]), side="right")
            histogram[layer] = np.bincount(bins, minlength=histogram.shape[1])
        return {
            "dead_share": (by_group == 0).mean(-1),
            "density_histogram": histogram,
            "above_tenth": (density > 0.1).sum(-1),
            "above_half": (density > 0.5).sum(-1),
        }


def _wide(values: torch.Tensor) -> torch.Tensor:
    """In float64, where the device has it."""
    return values if values.device.type == "mps" else values.double()


def _log_p(logits: torch.Tensor, skip: int) -> torch.Tensor:
    """Log-probabilities of the predictions that count: (rows, predictions, vocabulary)."""
    kept = logits[:, skip:-1]
    return kept.to(torch.promote_types(kept.dtype, torch.float32)).log_softmax(-1)


def _cross_entropy(log_p: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return -log_p.gather(-1, targets.to(log_p.device)[..., None])[..., 0]


def _kl(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    """KL(p || q) over the last axis; tokens that a model rules out (p = 0) add nothing."""
    p = log_p.exp()
    return (p * (log_p - log_q)).masked_fill_(p == 0, 0).sum(-1)
