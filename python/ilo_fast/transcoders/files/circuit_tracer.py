"""Folders of circuit-tracer (decoderesearch/circuit-tracer 0.4): written for it, and read.

It knows two kinds, told apart by ``model_kind`` in ``config.yaml``:

- ``cross_layer_transcoder``: of each layer i ``W_enc_{i}.safetensors`` with ``W_enc_{i}`` (F, d),
  ``b_enc_{i}`` (F,), ``b_dec_{i}`` (d,) and ``threshold_{i}`` (F,), and ``W_dec_{i}.safetensors``
  with ``W_dec_{i}`` (F, layers - i, d);
- ``transcoder_set``, whose features write into their own layer only: of each layer i
  ``layer_{i}.safetensors`` with ``W_enc``, ``W_dec`` (F, d), ``b_enc``, ``b_dec`` and
  ``activation_function.threshold``.

Without thresholds, features are active above zero. It has no scales, no top k for the first kind,
and for the second one that also takes negative values: scales are folded into the weights, and what
is no threshold is converted to thresholds. It silences the first token of a prompt, as we do with
``skip_positions=1``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ilo_fast._util.checks import path_of
from ilo_fast._util.files import add_to_folder, replace_atomically, write_text
from ilo_fast._util.folders import made_folder
from ilo_fast.transcoders.activations import BatchTopK, JumpReLU
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

CONFIG: Final = "config.yaml"
_CROSS_LAYER: Final = "cross_layer_transcoder"
_PER_LAYER: Final = "transcoder_set"
_READS: Final = "mlp.hook_in"
_WRITES: Final = ("hook_mlp_out", "mlp.hook_out")


def export_circuit_tracer(
    transcoder: CrossLayerTranscoder,
    path: str | os.PathLike[str],
    *,
    model_name: str | None = None,
    feature_output_hook: str = _WRITES[0],
    calibration: torch.Tensor | None = None,
) -> None:
    """Write a folder that circuit-tracer loads.

    Parameters
    ----------
    model_name
        As circuit-tracer is to load the model; None: as it was when the transcoder was trained.
    feature_output_hook
        ``"hook_mlp_out"`` is what is added to the residual stream. Its nnsight backend has only
        ``"mlp.hook_out"`` for some models, which is the same where no norm follows the MLP.
    calibration : (tokens, layers, d)
        What the MLPs read, some thousands of tokens. For `TopK` only, which has no thresholds:
        every feature gets one above which it is active on as many of these tokens as with `TopK`.
        This is another transcoder, as active on average but not on every token.

    Raises
    ------
    OSError
        The folder cannot be written, or is not empty.
    ValueError
        No name of a model is known; thresholds are not calibrated yet; or `TopK` without data.
    """
    folder = path_of("path", path)
    if model_name is None:
        if transcoder.info is None:
            raise ValueError("model_name is needed: the transcoder does not say its model")
        model_name = transcoder.info.model.name
    if feature_output_hook not in _WRITES:
        raise ValueError(
            f"feature_output_hook={feature_output_hook!r} is none of {', '.join(_WRITES)}"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"path {folder} is not empty: give a new folder")
    thresholds = _thresholds(transcoder, calibration)
    folded = transcoder.folded()
    config = {
        "model_kind": _CROSS_LAYER if transcoder.cross_layer else _PER_LAYER,
        "model_name": model_name,
        "feature_input_hook": _READS,
        "feature_output_hook": feature_output_hook,
        "scan": None,
    }
    with made_folder(folder, "path"), add_to_folder(folder, last=CONFIG) as new:
        for layer in range(folded.n_layers):
            encoder = folded.encoder_weight[layer], folded.encoder_bias[layer]
            decoder, bias = folded.decoder_weights[layer], folded.decoder_bias[layer]
            files = _files(layer, *encoder, decoder, bias, thresholds[layer], folded.cross_layer)
            for name, tensors in files.items():
                data = save({key: t.detach().cpu().contiguous() for key, t in tensors.items()})
                with replace_atomically(new / name, len(data)) as file:
                    file.write(data)
        write_text(new / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def import_circuit_tracer(path: str | os.PathLike[str]) -> CrossLayerTranscoder:
    """Read a folder of circuit-tracer, in evaluation mode; nothing of it is executed.

    It says nothing of the model's weights, so that `info` is None. Features that are active above
    zero get the smallest threshold there is, for ours are stored as logarithms.

    Raises
    ------
    FileNotFoundError
        There is no ``config.yaml``, or a layer's file is missing.
    ValueError
        It is another kind of folder, is damaged, reads at another point than we do, or has what we
        do not: a skip connection, the largest k, thresholds below zero.
    """
    folder = path_of("path", path)
    config = _config(folder / CONFIG)
    cross_layer = config["model_kind"] == _CROSS_LAYER
    pattern = "W_enc_*.safetensors" if cross_layer else "layer_*.safetensors"
    n_layers = len(list(folder.glob(pattern)))
    if not n_layers:
        raise FileNotFoundError(f"{folder} holds no {pattern}: download its weights, too")
    layers = [_layer(folder, layer, n_layers, cross_layer) for layer in range(n_layers)]
    for layer, (weight, *_) in enumerate(layers):
        if weight.shape != layers[0][0].shape:
            raise ValueError(
                f"{folder}: layer {layer} has an encoder of shape {tuple(weight.shape)}, layer 0 "
                f"of {tuple(layers[0][0].shape)}: they are of different transcoders"
            )
    n_features, hidden_size = layers[0][0].shape
    transcoder = CrossLayerTranscoder(
        n_layers, hidden_size, n_features, activation=JumpReLU(), cross_layer=cross_layer
    ).to(layers[0][0].dtype)
    with torch.no_grad():
        for layer, (weight, bias, threshold, decoder, decoder_bias) in enumerate(layers):
            transcoder.encoder_weight[layer] = weight
            transcoder.encoder_bias[layer] = bias
            least = torch.finfo(threshold.dtype).tiny
            transcoder.log_threshold[layer] = threshold.clamp(min=least).log()
            transcoder.decoder_weights[layer].copy_(decoder)
            transcoder.decoder_bias[layer] = decoder_bias
    return transcoder.eval()


def _files(
    layer: int,
    weight: torch.Tensor,
    bias: torch.Tensor,
    decoder: torch.Tensor,
    decoder_bias: torch.Tensor,
    threshold: torch.Tensor,
    cross_layer: bool,
) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of one layer, by the file that they are in and their names in it."""
    if not cross_layer:
        return {
            f"layer_{layer}.safetensors": {
                "W_enc": weight,
                "b_enc": bias,
                "W_dec": decoder[:, 0],
                "b_dec": decoder_bias,
                "activation_function.threshold": threshold,
            }
        }
    return {
        f"W_enc_{layer}.safetensors": {
            f"W_enc_{layer}": weight,
            f"b_enc_{layer}": bias,
            f"b_dec_{layer}": decoder_bias,
            f"threshold_{layer}": threshold,
        },
        f"W_dec_{layer}.safetensors": {f"W_dec_{layer}": decoder},
    }


@torch.no_grad()
def _thresholds(transcoder: CrossLayerTranscoder, calibration: torch.Tensor | None) -> torch.Tensor:
    """(layers, features)"""
    if isinstance(transcoder.activation, JumpReLU):
        return transcoder.log_threshold.exp()
    if isinstance(transcoder.activation, BatchTopK):
        if not bool(transcoder.threshold.isfinite().all()):
            raise ValueError("transcoder has no calibrated thresholds yet: call calibrate() first")
        return transcoder.threshold.expand_as(transcoder.encoder_bias)
    if calibration is None:
        raise ValueError(
            "circuit-tracer has no top k, and thresholds in its place make another transcoder: "
            "pass calibration=x, what the MLPs read on some thousands of tokens "
            "(tokens, layers, d), to convert it"
        )
    layers, d = transcoder.n_layers, transcoder.hidden_size
    if calibration.dim() != 3 or calibration.shape[1:] != (layers, d) or not len(calibration):
        raise ValueError(
            f"calibration has shape {tuple(calibration.shape)}, wanted (tokens, {layers}, {d})"
        )
    x = calibration.to(transcoder.encoder_weight)
    return torch.stack([_as_often(transcoder, layer, x[:, layer]) for layer in range(layers)])


def _as_often(transcoder: CrossLayerTranscoder, layer: int, x: torch.Tensor) -> torch.Tensor:
    """A threshold for every feature of a layer, above which it is active as often as with top k."""
    active = transcoder.encode_layer(layer, x)
    counts = torch.bincount(active.features, minlength=transcoder.n_features)
    weight = transcoder.encoder_weight[layer] * transcoder.input_scale[layer]
    pre = (x @ weight.T + transcoder.encoder_bias[layer]).sort(dim=0, descending=True).values
    pre = torch.cat([2 * pre[:1].abs(), pre, torch.zeros_like(pre[:1])]).clamp(min=0)
    # Row `count` is the last that counts, the next the first that does not.
    last, following = (pre.gather(0, (counts + more)[None])[0] for more in (0, 1))
    return (last + following) / 2


def _config(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"{file.parent} is no folder of circuit-tracer: no {file.name}")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file} is no YAML: {error}") from error
    if not isinstance(config, Mapping) or config.get("model_kind") not in (
        _CROSS_LAYER,
        _PER_LAYER,
    ):
        kind = config.get("model_kind") if isinstance(config, Mapping) else None
        raise ValueError(f"{file}: model_kind is {kind!r}, wanted {_CROSS_LAYER} or {_PER_LAYER}")
    reads, writes = (config.get(f"feature_{way}_hook") for way in ("input", "output"))
    if reads != _READS or writes not in _WRITES:
        raise ValueError(
            f"{file}: it reads at {reads} and writes at {writes}; ilo_fast reads what the MLP "
            f"takes ({_READS}) and writes what is added to the residual stream "
            f"({' or '.join(_WRITES)}): at another point its features are others. Change the names "
            "where in your model both are the same"
        )
    if config.get("activation") == "topk":
        raise ValueError(
            f"{file}: activation is topk, which in circuit-tracer also takes negative values: "
            "ilo_fast has none like it"
        )
    if "transcoders" in config:
        raise ValueError(
            f"{file}: transcoders lists files elsewhere: download them as layer_0.safetensors, "
            "layer_1.safetensors, ... beside it, and take the list out"
        )
    return config


def _layer(
    folder: Path, layer: int, n_layers: int, cross_layer: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weight and bias of an encoder, its thresholds, weight (F, span, d) and bias of a decoder."""
    if cross_layer:
        encoder = _read(folder / f"W_enc_{layer}.safetensors")
        tensors = encoder | _read(folder / f"W_dec_{layer}.safetensors")
        names = [f"{name}_{layer}" for name in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")]
    else:
        tensors = _read(folder / f"layer_{layer}.safetensors")
        names = ["W_enc", "b_enc", "W_dec", "b_dec", "activation_function.threshold"]
    where = f"{folder}, layer {layer}"
    if any(name.startswith("W_skip") for name in tensors):
        raise ValueError(f"{where}: it has a skip connection (W_skip), which ilo_fast has not")
    for name in names[:4]:
        if name not in tensors:
            raise ValueError(f"{where}: there is no {name}: download its weights again")
    weight = tensors[names[0]]
    if weight.dim() != 2:
        raise ValueError(f"{where}: {names[0]} has shape {tuple(weight.shape)}, wanted (F, d)")
    n_features, d = weight.shape
    threshold = tensors.get(names[4], weight.new_zeros(()))
    tensors[names[4]] = threshold.expand(n_features) if threshold.dim() == 0 else threshold
    span = (n_layers - layer,) if cross_layer else ()
    shapes = (n_features, d), (n_features,), (n_features, *span, d), (d,), (n_features,)
    for name, shape in zip(names, shapes, strict=True):
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{where}: {name} has shape {tuple(tensor.shape)}, wanted {shape}")
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise ValueError(f"{where}: {name} holds values that are no finite numbers")
    if bool((tensors[names[4]] < 0).any()):
        raise ValueError(f"{where}: {names[4]} holds thresholds below zero, which ilo_fast has not")
    exact = weight.dtype == torch.float64
    weight, bias, decoder, decoder_bias, threshold = (
        tensors[name] if exact else tensors[name].float() for name in names
    )
    decoder = decoder if cross_layer else decoder[:, None]
    return weight, bias, threshold, decoder, decoder_bias


def _read(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: download the folder again")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged: {error}; download it again") from error
