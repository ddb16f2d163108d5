"""Models whose MLPs are a random transcoder: in place of them it must change nothing."""

from __future__ import annotations

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from ilo_fast.transcoders.activations import Activation, BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


def random_transcoder(
    seed: int,
    *,
    activation: Activation | None = None,
    cross_layer: bool = True,
    n_layers: int = 3,
    hidden_size: int = 16,
    n_features: int = 40,
) -> CrossLayerTranscoder:
    """All of it random, the scales and the biases too; float64, evaluation mode.

    Of vectors of the usual length, some 15 of 100 features are active.
    """
    random = torch.Generator().manual_seed(seed)
    activation = activation or JumpReLU()
    transcoder = CrossLayerTranscoder(
        n_layers, hidden_size, n_features, activation=activation, cross_layer=cross_layer, seed=seed
    ).double()

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    with torch.no_grad():
        transcoder.input_scale.copy_(normal(n_layers).exp())
        transcoder.output_scale.copy_(normal(n_layers).exp())
        # x has a mean length of sqrt(d) as the model gives it.
        transcoder.encoder_weight.div_(transcoder.input_scale[:, None, None])
        transcoder.encoder_bias.copy_(0.2 * normal(n_layers, n_features))
        transcoder.decoder_bias.copy_(0.3 * normal(n_layers, hidden_size))
        if isinstance(activation, JumpReLU):
            transcoder.log_threshold.copy_(0.2 * normal(n_layers, n_features) - 0.5)
        if isinstance(activation, BatchTopK):
            transcoder.threshold.copy_(0.1 * normal(n_layers, 1) + 0.6)
    return transcoder.eval()


def clt_model(
    transcoder: CrossLayerTranscoder, seed: int = 0, vocabulary: int = 64
) -> LlamaForCausalLM:
    """A small Llama in float64 whose MLPs compute what `transcoder` does, by dense formulas."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=transcoder.hidden_size, intermediate_size=8,
        num_hidden_layers=transcoder.n_layers, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=128, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).double().eval()
    waiting: dict[int, torch.Tensor] = {}
    for layer, block in enumerate(model.model.layers):
        block.mlp = TranscoderMLP(transcoder, layer, waiting)
    return model


class TranscoderMLP(nn.Module):
    """One layer of a transcoder in place of an MLP.

    Parameters
    ----------
    waiting
        What the layers that ran have written into those to come, by layer; all MLPs of a model
        share it. A block that runs alone finds nothing there, and adds its own features only.
    """

    def __init__(
        self, transcoder: CrossLayerTranscoder, layer: int, waiting: dict[int, torch.Tensor]
    ) -> None:
        super().__init__()
        self.layer, self.waiting = layer, waiting
        self.n_layers = transcoder.n_layers
        self.k = transcoder.activation.k if isinstance(transcoder.activation, TopK) else None
        with torch.no_grad():
            scales = transcoder.output_scale[layer:, None]
            self.encoder = nn.Parameter(
                transcoder.encoder_weight[layer] * transcoder.input_scale[layer]
            )
            self.encoder_bias = nn.Parameter(transcoder.encoder_bias[layer].clone())
            weight = transcoder.decoder_weights[layer]
            self.decoder = nn.Parameter(weight / scales[: weight.shape[1]])
            self.bias = nn.Parameter(transcoder.decoder_bias[layer] / scales[0])
            threshold = torch.zeros_like(self.encoder_bias)
            if isinstance(transcoder.activation, JumpReLU):
                threshold += transcoder.log_threshold[layer].exp()
            if isinstance(transcoder.activation, BatchTopK):
                threshold += transcoder.threshold[layer]
        self.threshold = nn.Parameter(threshold)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.layer == 0:
            self.waiting.clear()
        pre = x @ self.encoder.T + self.encoder_bias
        least = self.threshold
        if self.k is not None:
            # Numbers of a random model: no two are equal.
            least = torch.cat([pre, torch.zeros_like(pre)], -1).topk(self.k + 1).values[..., -1:]
        features = torch.where(pre > least, pre, 0.0)
        for to in range(self.decoder.shape[1]):
            written = features @ self.decoder[:, to]
            before = self.waiting.get(self.layer + to)
            # Not in place: a block may be run again.
            new = written if before is None or before.shape != x.shape else before + written
            if to == 0:
                output = new + self.bias
            else:
                self.waiting[self.layer + to] = new
        self.waiting.pop(self.layer, None)
        if self.layer == self.n_layers - 1:
            self.waiting.clear()
        return output
