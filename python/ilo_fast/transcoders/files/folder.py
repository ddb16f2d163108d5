"""A transcoder in a folder: its weights (safetensors), and what it is (JSON)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from ilo_fast._util.checks import path_of, truth, whole_number
from ilo_fast._util.files import (
    add_to_folder,
    finish_folder,
    finite_json,
    read_json,
    replace_atomically,
    write_json,
)
from ilo_fast._util.folders import made_folder
from ilo_fast._util.messages import listed
from ilo_fast._util.schema import check_schema, damage_refused, object_of, read_result, text_of
from ilo_fast._util.versions import versions
from ilo_fast.models.demo import demo_model_path
from ilo_fast.models.identity import NUMERIC_PACKAGES
from ilo_fast.training.run_folder import CARD_FILE
from ilo_fast.transcoders.activations import (
    BatchTopK,
    JumpReLU,
    activation_from_dict,
    activation_to_dict,
)
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

MANIFEST: Final = "transcoder.json"
WEIGHTS: Final = "transcoder.safetensors"
TRANSCODER_FOLDER: Final = "transcoder"  # within the folder of the run that trained it
_KIND: Final = "ilo_fast.transcoder"
_VERSION: Final = 1
_FIX: Final = "copy it again, or train it again"
_DEMOS: Final = {"demo": "cross_layer", "demo-per-layer": "per_layer"}  # that ship with the package
_SIZES: Final = ("n_layers", "hidden_size", "n_features")
_MOST: Final = 2**24  # of a size: what no transcoder has


def save_transcoder(transcoder: CrossLayerTranscoder, path: str | os.PathLike[str]) -> None:
    """Write a folder: ``transcoder.safetensors``, and ``transcoder.json``, which is moved last.

    What else the folder holds stays; another transcoder there is replaced.

    Raises
    ------
    ValueError
        A weight is NaN or infinite.
    OSError
        `path` is a file, cannot be written to, or the disk is full.
    """
    folder = path_of("path", path)
    state = transcoder.state_dict()
    for name, value in state.items():
        if name != "threshold" and not bool(value.isfinite().all()):
            raise ValueError(
                f"transcoder: {name} holds values that are not finite, and would not be loaded: "
                "train it again, with a lower learning_rate"
            )
    data = save({name: value.detach().cpu().contiguous() for name, value in state.items()})
    about = {
        "kind": _KIND,
        "schema_version": _VERSION,
        **{name: getattr(transcoder, name) for name in _SIZES},
        "cross_layer": transcoder.cross_layer,
        "activation": activation_to_dict(transcoder.activation),
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        "info": None if transcoder.info is None else transcoder.info.to_dict(),
        "versions": versions(*NUMERIC_PACKAGES),
    }
    with made_folder(folder, "path"), add_to_folder(folder, last=MANIFEST) as new:
        with replace_atomically(new / WEIGHTS, len(data)) as file:
            file.write(data)
        write_json(new / MANIFEST, finite_json(about))


def is_demo(path: str | os.PathLike[str]) -> bool:
    """Whether one of the transcoders that ship with the package is meant."""
    return isinstance(path, str) and path in _DEMOS


def transcoder_path(path: str | os.PathLike[str]) -> Path:
    """The folder that `path` names; where that of a run is given, the transcoder's in it."""
    if is_demo(path):
        return demo_model_path().parent / "transcoders" / _DEMOS[str(path)]
    folder = path_of("path", path)
    inside = folder / TRANSCODER_FOLDER
    return inside if inside.is_dir() and not (folder / MANIFEST).exists() else folder


def load_transcoder(path: str | os.PathLike[str]) -> CrossLayerTranscoder:
    """What `save_transcoder` wrote, in evaluation mode; nothing of it is executed, nor believed.

    The output folder of `train_transcoder`, which holds that of its transcoder, will do, too.
    Whether it fits a model, `check_fits` says.

    Raises
    ------
    FileNotFoundError
        There is no transcoder.
    ValueError
        A file is something else, damaged, of a newer version, or not of one transcoder with the
        other; names the file and the field.
    """
    folder = transcoder_path(path)
    if not is_demo(path):
        finish_folder(folder, last=MANIFEST)
    for name in (MANIFEST, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no transcoder: {_lack(folder, name)}")

    def build(about: Any) -> CrossLayerTranscoder:
        check_schema(about, _KIND, _VERSION, "train it again")
        with damage_refused("the settings", _FIX):
            tensors = _weights(folder / WEIGHTS, text_of("weights_sha256", about["weights_sha256"]))
            return _built(about, tensors)

    return read_result(folder / MANIFEST, MANIFEST, "a transcoder", build)


def _lack(folder: Path, name: str) -> str:
    """Why there is no transcoder in `folder`, whose file `name` is absent."""
    if not folder.exists():
        return "there is no such folder"
    if not folder.is_dir():
        return "it is a file; wanted the folder of a `clt train` run"
    if (folder / "config.yaml").is_file():
        return f"there is no {name}; one of circuit-tracer's is read by import_circuit_tracer()"
    card = read_json(folder / CARD_FILE)
    if card is not None and (card.get("settings") or {}).get("task") == "transcoder":
        return "its training has not ended; the command that began it goes on with it"
    return f"there is no {name}"


def _weights(file: Path, sha256: str) -> dict[str, torch.Tensor]:
    data = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(
            f"weights_sha256 is {sha256[:16]}, but {file.name} has {found[:16]}: it is not "
            f"complete, or of another transcoder; {_FIX}"
        )
    try:
        return load(data)
    except SafetensorError as error:
        raise ValueError(f"{file.name} is no safetensors file: {error}; {_FIX}") from error


def _built(about: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> CrossLayerTranscoder:
    n_layers, hidden_size, n_features = (
        whole_number(name, about[name], most=_MOST) for name in _SIZES
    )
    cross_layer = truth("cross_layer", about["cross_layer"])
    activation = activation_from_dict(dict(object_of("activation", about["activation"])))
    info = about["info"]
    found = None if info is None else TranscoderInfo.from_dict(object_of("info", info))
    if found is not None and len(found.model.reads) != n_layers:
        raise ValueError(
            f"info.model.reads has {len(found.model.reads)} layers, n_layers is {n_layers}"
        )
    # Before anything of these sizes is made.
    wanted = {
        "encoder_weight": (n_layers, n_features, hidden_size),
        "encoder_bias": (n_layers, n_features),
        "decoder_bias": (n_layers, hidden_size),
        "input_scale": (n_layers,),
        "output_scale": (n_layers,),
    }
    if isinstance(activation, JumpReLU):
        wanted["log_threshold"] = (n_layers, n_features)
    if isinstance(activation, BatchTopK):
        wanted["threshold"] = (n_layers, 1)
    if len(tensors) != len(wanted) + n_layers:
        raise ValueError(
            f"{WEIGHTS} holds {len(tensors)} tensors, wanted {len(wanted) + n_layers} of "
            f"{n_layers} layers with {activation.kind}"
        )
    for layer in range(n_layers):
        span = n_layers - layer if cross_layer else 1
        wanted[f"decoder_weights.{layer}"] = (n_features, span, hidden_size)
    _check(tensors, wanted, about)
    transcoder = CrossLayerTranscoder(
        n_layers, hidden_size, n_features, activation=activation, cross_layer=cross_layer
    ).to(tensors["encoder_weight"].dtype)
    transcoder.load_state_dict(tensors)
    transcoder.info = found
    return (transcoder.float() if tensors["encoder_weight"].itemsize == 2 else transcoder).eval()


def _check(
    tensors: Mapping[str, torch.Tensor],
    wanted: Mapping[str, tuple[int, ...]],
    about: Mapping[str, Any],
) -> None:
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise ValueError(f"{WEIGHTS} holds no {listed(missing)}; {_FIX}")
    dtype = tensors["encoder_weight"].dtype
    for name, shape in wanted.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            sizes = ", ".join(f"{size}={about[size]}" for size in _SIZES)
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, wanted {shape} ({sizes})")
        if tensor.dtype != dtype or not dtype.is_floating_point:
            raise ValueError(f"{name} has dtype {tensor.dtype}, wanted one of floats for all")
        uncalibrated = name == "threshold" and bool(tensor.isnan().all())
        if not bool(tensor.isfinite().all()) and not uncalibrated:
            raise ValueError(f"{name} holds values that are not finite; {_FIX}")
        if name.endswith("_scale") and not bool((tensor > 0).all()):
            raise ValueError(f"{name} holds values that are not positive; {_FIX}")
