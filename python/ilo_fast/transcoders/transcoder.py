"""`CrossLayerTranscoder`: sparse features of every layer, which write into it and all later ones.

With x the vectors that the MLPs read and y what they add to the residual stream, in units in which
both have a mean length of sqrt(d):

    a_l = activation(W_enc,l x_l + b_enc,l)        features of layer l
    y_k = sum over l <= k of a_l W_dec,l->k + b_dec,k

(Lindsey et al. 2025, "Circuit tracing"; Harrasse et al. 2025, arXiv 2511.10840.) With
`cross_layer=False` features write into their own layer only: the control.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast.transcoders.activations import Activation, BatchTopK, JumpReLU, TopK
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.sparse import (
    ActiveFeatures,
    decode,
    encode_batch_top_k,
    encode_threshold,
    encode_top_k,
)


class CrossLayerTranscoder(nn.Module):
    """Sparse features in place of a model's MLPs.

    Parameters
    ----------
    n_layers, hidden_size : int
        Of the model.
    n_features : int
        Of every layer.
    activation
        `JumpReLU`, `TopK` or `BatchTopK`.
    cross_layer
        False: features write into their own layer only.
    seed
        Of the random weights that training begins with.

    Attributes
    ----------
    encoder_weight : (layers, features, d)
    encoder_bias : (layers, features)
    decoder_weights : of every layer (features, span, d)
        Into its own and the later layers; `span` is 1 with `cross_layer=False`.
    decoder_bias : (layers, d)
    log_threshold : (layers, features)
        With `JumpReLU`.
    threshold : (layers, 1)
        With `BatchTopK`, once it is calibrated; NaN before.
    input_scale, output_scale : (layers,)
        What x and y are multiplied by to have the units above.
    info : TranscoderInfo or None
        What it was trained on; None before.
    """

    log_threshold: nn.Parameter
    threshold: torch.Tensor
    input_scale: torch.Tensor
    output_scale: torch.Tensor

    def __init__(
        self,
        n_layers: int,
        hidden_size: int,
        n_features: int,
        *,
        activation: Activation,
        cross_layer: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        n_layers = whole_number("n_layers", n_layers)
        hidden_size = whole_number("hidden_size", hidden_size)
        n_features = whole_number("n_features", n_features)
        if n_layers * n_features >= 2**31:  # their indices are int32
            raise ValueError(
                f"n_layers={n_layers} of n_features={n_features}, together more than 2^31 - 1"
            )
        if not isinstance(activation, (JumpReLU, TopK, BatchTopK)):
            raise TypeError(
                f"activation must be JumpReLU(), TopK(k) or BatchTopK(k), got {activation!r}"
            )
        self.activation = activation
        self.info: TranscoderInfo | None = None
        self.cross_layer = cross_layer
        random = torch.Generator().manual_seed(whole_number("seed", seed, least=0))

        def uniform(*shape: int, bound: float) -> nn.Parameter:
            return nn.Parameter((torch.rand(shape, generator=random) * 2 - 1) * bound)

        spans = [n_layers - layer if cross_layer else 1 for layer in range(n_layers)]
        self.encoder_weight = uniform(n_layers, n_features, hidden_size, bound=hidden_size**-0.5)
        self.encoder_bias = nn.Parameter(torch.zeros(n_layers, n_features))
        self.decoder_weights = nn.ParameterList(
            uniform(n_features, span, hidden_size, bound=(n_layers * hidden_size) ** -0.5)
            for span in spans
        )
        self.decoder_bias = nn.Parameter(torch.zeros(n_layers, hidden_size))
        if isinstance(activation, JumpReLU):
            start = torch.full((n_layers, n_features), activation.initial_threshold)
            self.log_threshold = nn.Parameter(start.log())
        if isinstance(activation, BatchTopK):
            self.register_buffer("threshold", torch.full((n_layers, 1), torch.nan))
        self.register_buffer("input_scale", torch.ones(n_layers))
        self.register_buffer("output_scale", torch.ones(n_layers))

    @property
    def n_layers(self) -> int:
        return self.encoder_weight.shape[0]

    @property
    def n_features(self) -> int:
        return self.encoder_weight.shape[1]

    @property
    def hidden_size(self) -> int:
        return self.encoder_weight.shape[2]

    def encode(self, x: torch.Tensor) -> ActiveFeatures:
        """The active features of all layers. x: (tokens, layers, d), in the model's units."""
        return self._encoded(x, slice(None), (self.n_layers, self.hidden_size))

    def encode_layer(self, layer: int, x: torch.Tensor) -> ActiveFeatures:
        """The active features of one layer. x: (tokens, d), in the model's units."""
        layer = whole_number("layer", layer, least=0, most=self.n_layers - 1)
        return self._encoded(x, slice(layer, layer + 1), (self.hidden_size,))

    def _encoded(self, x: torch.Tensor, layers: slice, shape: tuple[int, ...]) -> ActiveFeatures:
        if x.shape[1:] != shape or not x.dim():
            wanted = ", ".join(map(str, ("tokens", *shape)))
            raise ValueError(f"x has shape {tuple(x.shape)}, wanted ({wanted})")
        x = x.reshape(len(x), -1, self.hidden_size) * self.input_scale[layers, None]
        if x.dtype != self.encoder_weight.dtype:
            raise TypeError(
                f"x is {x.dtype}, the transcoder {self.encoder_weight.dtype}: convert one of them "
                "with .to()"
            )
        weight, bias = self.encoder_weight[layers], self.encoder_bias[layers]
        if isinstance(self.activation, JumpReLU):
            bandwidth = self.activation.bandwidth if self.training else None
            return encode_threshold(x, weight, bias, self.log_threshold[layers].exp(), bandwidth)
        if isinstance(self.activation, TopK):
            return encode_top_k(x, weight, bias, self.activation.k)
        if self.training:
            return encode_batch_top_k(x, weight, bias, self.activation.k)
        if not bool(self.threshold.isfinite().all()):
            raise ValueError("transcoder has no calibrated thresholds yet: call calibrate() first")
        return encode_threshold(x, weight, bias, self.threshold[layers].expand_as(bias))

    def decode(self, features: ActiveFeatures) -> torch.Tensor:
        """What the features of all layers write: (tokens, layers, d), in the model's units."""
        self._check_features(features, self.n_layers)
        out = decode(features, list(self.decoder_weights), self.decoder_bias)
        return out / self.output_scale[:, None]

    def decode_layer(self, layer: int, features: ActiveFeatures) -> torch.Tensor:
        """What the features of one layer write into it and the layers behind, without biases.

        Returns (tokens, span, d), in the model's units.
        """
        self._check_features(features, 1)
        weight = self.decoder_weights[whole_number("layer", layer, 0, self.n_layers - 1)]
        span = weight.shape[1]
        nothing = torch.zeros_like(weight[0])
        return decode(features, [weight], nothing) / self.output_scale[layer : layer + span, None]

    def _check_features(self, features: ActiveFeatures, n_layers: int) -> None:
        if (features.n_layers, features.n_features) != (n_layers, self.n_features):
            raise ValueError(
                f"features are of {features.n_layers} layers of {features.n_features}, wanted "
                f"{n_layers} of {self.n_features}: those of all layers go into decode(), those of "
                "one into decode_layer()"
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the MLPs would add, of what they read: both (tokens, layers, d)."""
        return self.decode(self.encode(x))

    def decoder_norms(self) -> torch.Tensor:
        """The length of what each feature writes, over all layers: (layers, features)."""
        return torch.stack([w.flatten(1).norm(dim=1) for w in self.decoder_weights])

    @torch.no_grad()
    def calibrate(self, x: torch.Tensor) -> None:
        """Set the thresholds of `BatchTopK` so that on x each layer has k active features a token.

        x: (tokens, layers, d), in the model's units; some thousands of tokens.
        """
        if not isinstance(self.activation, BatchTopK):
            return
        was_training = self.training
        self.train()
        try:
            active = self.encode(x)
        finally:
            self.train(was_training)
        for layer in range(self.n_layers):
            values = active.values[active.layers == layer]
            # Clearly below the lowest, so that rounding (folded scales, say) does not decide.
            self.threshold[layer] = (1 - 1e-4) * values.min() if len(values) else 0.0

    def folded(self) -> CrossLayerTranscoder:
        """The same function with scales of one: they are folded into the weights."""
        other = copy.deepcopy(self)
        with torch.no_grad():
            other.encoder_weight.mul_(self.input_scale[:, None, None])
            other.decoder_bias.div_(self.output_scale[:, None])
            for layer, weight in enumerate(other.decoder_weights):
                weight.div_(self.output_scale[layer : layer + weight.shape[1], None])
            other.input_scale.fill_(1.0)
            other.output_scale.fill_(1.0)
        return other
