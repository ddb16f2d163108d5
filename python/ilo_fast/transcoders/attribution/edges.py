"""The rows of an attribution graph: what every source adds to a feature or a logit.

A row is one backward pass through the local model, from what an MLP or the head reads; many rows go
through it together. The gradient that arrives where MLPs write, times what a feature writes there,
is what that feature adds. Constants come from passes with nothing put in, not from what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from ilo_fast.transcoders.attribution.local_model import LocalModel, LocalPass
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

# Of a gradient of all rows that go together: on a processor they should stay in its cache.
_NUMBERS: Final = 1 << 18
_NUMBERS_ON_DEVICE: Final = 1 << 24


@dataclass(frozen=True)
class PromptFeatures:
    """The active features of one prompt, by position and then by layer.

    Attributes
    ----------
    position, layer, feature : (n,) int64
    activation : (n,)
    pre_activation : (n,) float64
        With the encoder's bias.
    """

    position: torch.Tensor
    layer: torch.Tensor
    feature: torch.Tensor
    activation: torch.Tensor
    pre_activation: torch.Tensor

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Rows:
    """Some rows of one prompt's graph.

    Attributes
    ----------
    features : (rows, active features)
    errors : (rows, tokens, layers)
    tokens, positions : (rows, tokens)
    biases : (rows, 1 + layers + 1)
        Before the first block, of each block, behind the last.
    """

    features: torch.Tensor
    errors: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    biases: torch.Tensor


class Tracer:
    """Computes rows for the prompts of a local model.

    Parameters
    ----------
    local
        Of the prompts.
    transcoder
        Of the model, in the same type.
    lengths : (rows,)
        Tokens of each prompt.
    skip
        So many positions at the beginning have no features.

    Attributes
    ----------
    features : of every prompt
    errors : (prompts, tokens, layers, d)
        What the MLPs add and the transcoder does not say.
    decoder_bias : (layers, d)
        In the model's units.
    before : (prompts, tokens, d)
        What is added before the first block, whatever the tokens.
    """

    def __init__(
        self,
        local: LocalModel,
        transcoder: CrossLayerTranscoder,
        lengths: Sequence[int],
        skip: int,
    ) -> None:
        self.local, self.coder, self.lengths, self.skip = local, transcoder, lengths, skip
        self.n_layers = transcoder.n_layers
        self.errors = local.adds.clone()
        self.decoder_bias = transcoder.decoder_bias.detach() / transcoder.output_scale[:, None]
        self.features = tuple(self._active(row) for row in range(len(lengths)))
        self._vectors = tuple(map(self._written, self.features))
        self._constants = self._passes_of_constants()
        self.before = self._constants[0].entered
        self._graph()

    @torch.no_grad()
    def _active(self, row: int) -> PromptFeatures:
        """The features of a prompt; what they explain is taken off its errors."""
        here = slice(self.skip, self.lengths[row])
        x = torch.stack([read[row] for read in self.local.base.reads], dim=1)[here]
        active = self.coder.encode(x)
        self.errors[row, here] -= self.coder.decode(active)
        layer, feature = active.layers, active.features
        weight = self.coder.encoder_weight[layer, feature] * self.coder.input_scale[layer, None]
        pre = (weight.double() * x[active.tokens, layer].double()).sum(1)
        pre = pre + self.coder.encoder_bias[layer, feature].double()
        return PromptFeatures(active.tokens + self.skip, layer, feature, active.values, pre)

    @torch.no_grad()
    def _passes_of_constants(self) -> list[LocalPass]:
        """With nothing put in: all of it, then from each block on, then behind the last."""
        local = self.local
        nothing = torch.zeros_like(local.tokens), torch.zeros_like(local.adds)
        starts = [None, *range(self.n_layers + 1)]
        return [local.replay(*nothing, silenced=start) for start in starts]

    def _graph(self) -> None:
        local = self.local
        self._tokens = local.tokens.detach().requires_grad_()
        self._adds = [adds.detach().requires_grad_() for adds in local.adds.unbind(2)]
        with torch.enable_grad():
            self._run = local.replay(self._tokens, self._adds)

    def rows_at_once(self) -> int:
        """How many rows of each prompt go together."""
        adds = self.local.adds
        most = _NUMBERS if adds.device.type == "cpu" else _NUMBERS_ON_DEVICE
        return max(16, most // adds[:, :, 0].numel())

    def feature_rows(self, layer: int, chosen: Sequence[torch.Tensor]) -> tuple[Rows, ...]:
        """Rows of features of one layer.

        chosen: of every prompt, indices into its features, all of `layer`, positions ascending.
        """
        coder, read = self.coder, self._run.reads[layer]
        most = max(map(len, chosen))
        vectors = read.new_zeros(most, len(chosen), read.shape[-1])
        at = torch.zeros(most, len(chosen), dtype=torch.int64, device=read.device)
        for row, index in enumerate(chosen):
            feature = self.features[row].feature[index]
            vectors[: len(index), row] = (
                coder.encoder_weight[layer, feature] * coder.input_scale[layer]
            )
            at[: len(index), row] = self.features[row].position[index]
        cotangent = read.new_zeros(most, *read.shape)
        place = at[..., None, None].expand(-1, -1, 1, read.shape[-1])
        cotangent.scatter_(2, place, vectors.detach()[:, :, None])
        constants = torch.stack(
            [
                (
                    run.reads[layer][None].expand(most, -1, -1, -1).gather(2, place)[:, :, 0]
                    * vectors
                ).sum(-1)
                for run in self._constants[1 : layer + 2]
            ],
            dim=-1,
        ).detach()
        rows = self._rows(
            read,
            cotangent,
            layer,
            [len(index) for index in chosen],
            constants,
            [self.features[row].position[index] for row, index in enumerate(chosen)],
        )
        for row, (index, found) in enumerate(zip(chosen, rows, strict=True)):
            bias = coder.encoder_bias[layer, self.features[row].feature[index]]
            found.biases[:, 1 + layer] += bias.detach()
        return rows

    def target_rows(
        self, of_scores: Sequence[torch.Tensor | None], of_final: Sequence[torch.Tensor | None]
    ) -> tuple[Rows, ...]:
        """Rows of what is explained, for every prompt; see `Explained`."""
        weights, biases = [], []
        for row, (scores, final) in enumerate(zip(of_scores, of_final, strict=True)):
            if scores is not None:
                final, bias = self._through_head(row, scores)
            assert final is not None
            weights.append(final)
            biases.append(final.new_zeros(len(final)) if scores is None else bias)
        output = self._run.final
        counts = [len(of) for of in weights]
        cotangent = output.new_zeros(max(counts), *output.shape)
        for row, of in enumerate(weights):
            cotangent[: len(of), row, 0] = of
        constants = torch.stack(
            [(run.final[None] * cotangent).sum((-1, -2)) for run in self._constants[1:]], dim=-1
        )
        rows = self._rows(output, cotangent, self.n_layers, counts, constants, None)
        for found, bias in zip(rows, biases, strict=True):
            found.biases[:, -1] += bias
        return rows

    def _through_head(self, row: int, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of what the head gives as those of what it reads, and what its bias adds."""
        head, nothing = self.local.parts.head, self._constants[-1]
        assert head is not None  # ReplacementModel has seen to it
        read = self.local.base.final[row : row + 1].detach().requires_grad_()
        with torch.enable_grad():
            (grads,) = torch.autograd.grad(
                head(read), read, scores[:, None, None], is_grads_batched=True
            )
        weights: torch.Tensor = grads[:, 0, 0]
        return weights, scores @ nothing.scores[row, 0] - weights @ nothing.final[row, 0]

    def _rows(
        self,
        output: torch.Tensor,
        cotangent: torch.Tensor,
        layer: int,
        counts: Sequence[int],
        constants: torch.Tensor,
        positions: Sequence[torch.Tensor] | None,
    ) -> tuple[Rows, ...]:
        """Of `cotangent` (rows, prompts, ...) the rows of each prompt, of which `counts` are its.

        constants: (rows, prompts, 1 + layer), what is put in from each block on, and none before.
        """
        inputs = [self._tokens, self._run.entered, *self._adds[:layer]]
        with torch.autograd.set_grad_enabled(True):
            found = torch.autograd.grad(
                output, inputs, cotangent, retain_graph=True, allow_unused=True,
                is_grads_batched=True,
            )  # fmt: skip
        grads = [
            cotangent.new_zeros(len(cotangent), *wanted.shape) if grad is None else grad
            for wanted, grad in zip(inputs, found, strict=True)
        ]
        return tuple(
            self._contracted(
                row, layer,
                [grad[:n, row] for grad in grads],
                constants[:n, row],
                self.before[row],
                None if positions is None else positions[row],
            )
            for row, n in enumerate(counts)
        )  # fmt: skip

    @torch.no_grad()
    def _contracted(
        self,
        row: int,
        layer: int,
        grads: Sequence[torch.Tensor],
        constants: torch.Tensor,
        before: torch.Tensor,
        positions: torch.Tensor | None,
    ) -> Rows:
        tokens, entered, written = grads[0], grads[1], list(grads[2:])
        n_rows, length = len(tokens), self.lengths[row]
        errors = tokens.new_zeros(n_rows, length, self.n_layers)
        biases = tokens.new_zeros(n_rows, self.n_layers + 2)
        for at, grad in enumerate(written):
            errors[:, :, at] = torch.einsum(
                "ntd,td->nt", grad[:, :length], self.errors[row, :length, at]
            )
            biases[:, 1 + at] = grad[:, self.skip : length].sum(1) @ self.decoder_bias[at]
        steps = constants.clone()
        steps[:, :-1] -= constants[:, 1:]
        biases[:, 1 : 1 + steps.shape[1]] += steps
        return Rows(
            self._feature_sources(row, layer, written, n_rows, positions),
            errors,
            torch.einsum("ntd,td->nt", tokens[:, :length], self.local.tokens[row, :length]),
            torch.einsum("ntd,td->nt", entered[:, :length], before[:length]),
            biases,
        )

    def _feature_sources(
        self, row: int, layer: int, written: Sequence[torch.Tensor], n_rows: int,
        positions: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """What each active feature adds: (rows, features of the prompt)."""
        features = self.features[row]
        found = features.activation.new_zeros(n_rows, len(features))
        if not written or not len(features):
            return found
        arrived = torch.stack(list(written), dim=2)  # (rows, tokens, layers before, d)
        ends = torch.searchsorted(
            features.position, torch.arange(self.lengths[row] + 1, device=found.device)
        )
        for at, (start, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
            # No row sees what comes after it: rows ascend with their positions.
            first = 0 if positions is None else int((positions < at).sum())
            if start == end or first == n_rows:
                continue
            here = slice(start, start + int((features.layer[start:end] < layer).sum()))
            width = arrived.shape[2] * arrived.shape[3]
            vectors = self._vectors[row][here, :width]
            found[first:, here] = arrived[first:, at].flatten(1) @ vectors.T
        return found

    @torch.no_grad()
    def _written(self, features: PromptFeatures) -> torch.Tensor:
        """What features write, zero in layers before their own: (features, layers * d)."""
        coder = self.coder
        shape = (len(features), self.n_layers, coder.hidden_size)
        vectors = coder.encoder_weight.new_zeros(shape)
        for layer, weight in enumerate(coder.decoder_weights):
            mine = (features.layer == layer).nonzero()[:, 0]
            end = layer + weight.shape[1]
            scaled = weight[features.feature[mine]] / coder.output_scale[layer:end, None]
            vectors[mine, layer:end] = scaled * features.activation[mine][:, None, None]
        return vectors.flatten(1)
