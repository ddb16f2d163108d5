"""A transcoder that another training starts from: opened, and whether it fits."""

from __future__ import annotations

import os
from typing import Final

import torch

from ilo_fast.transcoders.activations import Activation, BatchTopK, TopK
from ilo_fast.transcoders.files.folder import load_transcoder
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

INITIAL: Final = "initial_sha256"
"""Of the weights that a training started from: its name in the run metadata and the info."""

_N_FEATURES: Final = 1024


def opened_initial(
    initial: CrossLayerTranscoder | str | os.PathLike[str] | None,
) -> CrossLayerTranscoder | None:
    """The transcoder that `initial` is or names, in float32.

    Raises
    ------
    FileNotFoundError
        The folder holds none.
    ValueError
        Its weights are not finite.
    """
    if initial is None:
        return None
    found = initial if isinstance(initial, CrossLayerTranscoder) else load_transcoder(initial)
    if not all(bool(weight.isfinite().all()) for weight in found.parameters()):
        raise ValueError("initial holds weights that are not finite: load or train it again")
    if found.encoder_weight.dtype == torch.float32 and not found.encoder_weight.is_cuda:
        return found
    copied = CrossLayerTranscoder(
        found.n_layers, found.hidden_size, found.n_features,
        activation=found.activation, cross_layer=found.cross_layer,
    )  # fmt: skip
    copied.load_state_dict(found.state_dict())
    return copied


def shape_of(
    initial: CrossLayerTranscoder | None,
    n_features: int | None,
    activation: Activation | None,
    cross_layer: bool | None,
) -> tuple[int, Activation, bool]:
    """What is not given is as in `initial`, else the default.

    Raises
    ------
    ValueError
        What is given is otherwise in `initial`.
    """
    if initial is None:
        return (
            _N_FEATURES if n_features is None else n_features,
            TopK() if activation is None else activation,
            True if cross_layer is None else cross_layer,
        )
    own = (initial.n_features, initial.activation, initial.cross_layer)
    given = (n_features, activation, cross_layer)
    for name, has, wanted in zip(("n_features", "activation", "cross_layer"), own, given,
                                 strict=True):  # fmt: skip
        if wanted is not None and wanted != has:
            raise ValueError(f"{name}={wanted!r}, but initial has {has!r}: leave {name} out")
    return own


def check_shape(initial: CrossLayerTranscoder | None, reader: MLPReader) -> None:
    """Refuse an `initial` of a model of another shape.

    Raises
    ------
    ValueError
        Names both.
    """
    if initial is None:
        return
    for what, has, wanted in (
        ("layers", initial.n_layers, len(reader.sites)),
        ("numbers in a vector", initial.hidden_size, reader.parts.dim),
    ):
        if has != wanted:
            raise ValueError(
                f"initial has {has} {what}, the model {wanted}: it is of another model; leave "
                "initial out"
            )
    if isinstance(initial.activation, BatchTopK) and initial.threshold.isnan().any():
        raise ValueError("initial was never calibrated: call calibrate(), or train it again")
