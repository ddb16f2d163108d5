"""Whether a transcoder is of a model: its layers, its weights, and where its MLPs are read."""

from __future__ import annotations

import logging
from typing import Final

import torch

from ilo_fast.models.forward import trial_ids, working_device
from ilo_fast.models.identity import hash_state
from ilo_fast.transcoders.info import Probe, Table, TranscodedModel
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

logger = logging.getLogger(__name__)

_NUMBERS: Final = 16  # of each layer's mean vector
# Another device or attention kernel rounds differently; another point is another vector.
_CLOSE: Final = 0.01
_CLOSE_16_BIT: Final = 0.1


def transcoded_model(reader: MLPReader, name: str) -> TranscodedModel:
    """What a transcoder is to remember of the model whose MLPs `reader` reads."""
    backbone = reader.parts.backbone
    ids = torch.cat(trial_ids(reader.parts.embeddings))
    reads, adds = _means(reader, ids)
    return TranscodedModel(
        name=name,
        architecture=type(backbone).__name__,
        dtype=_dtype(reader),
        weights_sha256=hash_state(backbone, computed=False),
        reads=_names(reader)[0],
        writes=_names(reader)[1],
        probe=Probe(tuple(map(tuple, ids.tolist())), reads, adds),
    )


def check_fits(
    transcoder: CrossLayerTranscoder, reader: MLPReader, *, allow_other_weights: bool = False
) -> None:
    """Refuse a transcoder that is not of the model that `reader` reads.

    Parameters
    ----------
    allow_other_weights
        The model may have been trained on since: it only has to be read at the same modules.

    Raises
    ------
    ValueError
        It has other layers, another width or other weights, or is read elsewhere; names both, and
        how to go on.
    """
    n_layers, dim = len(reader.sites), reader.parts.dim
    if transcoder.n_layers != n_layers:
        raise ValueError(
            f"transcoder has {transcoder.n_layers} layers, the model {n_layers}: it is of another "
            "model; load that one, or train a transcoder of this"
        )
    if transcoder.hidden_size != dim:
        raise ValueError(
            f"transcoder takes vectors of {transcoder.hidden_size} numbers, the model has "
            f"{dim}: it is of another model; load that one, or train a transcoder of this"
        )
    if transcoder.info is None:
        logger.warning(
            "the transcoder does not say which model it is of: only its sizes were checked"
        )
        return
    model = transcoder.info.model
    _check_sites(model, reader)
    weights = hash_state(reader.parts.backbone, computed=False)
    if weights == model.weights_sha256:
        _check_probe(model, reader)
    elif not allow_other_weights:
        dtype = _dtype(reader)
        again = (
            f"load the model with dtype={model.dtype!r}"
            if dtype != model.dtype
            else ("load the model that it was trained on")
        )
        raise ValueError(
            f"transcoder is of {model.name} with weights {model.weights_sha256[:16]} "
            f"({model.dtype}), the model has {weights[:16]} ({dtype}): {again}, or pass "
            "allow_other_weights=True where it was fine-tuned from it"
        )


def _check_sites(model: TranscodedModel, reader: MLPReader) -> None:
    for what, wanted, found in zip(
        ("reads", "writes"), (model.reads, model.writes), _names(reader), strict=True
    ):
        for layer, (theirs, ours) in enumerate(zip(wanted, found, strict=True)):
            if theirs != ours:
                raise ValueError(
                    f"transcoder {what} at {theirs} in layer {layer}, the MLP of this model "
                    f"{what} at {ours}: it is of another architecture ({model.architecture}, this "
                    f"is {type(reader.parts.backbone).__name__}); train a transcoder of this model"
                )


def _check_probe(model: TranscodedModel, reader: MLPReader) -> None:
    rows = reader.parts.vocabulary
    most = max(map(max, model.probe.ids))
    if rows is not None and most >= rows:
        raise ValueError(f"transcoder's probe has token {most}, the model {rows}: it is damaged")
    ids = torch.tensor(model.probe.ids, device=working_device(reader.parts.embeddings))
    means = _means(reader, ids)
    close = _CLOSE_16_BIT if model.dtype in ("bfloat16", "float16") else _CLOSE
    for what, theirs, ours in zip(
        ("reads", "adds"), (model.probe.reads, model.probe.adds), means, strict=True
    ):
        for layer, (wanted, found) in enumerate(zip(theirs, ours, strict=True)):
            expected, vector = torch.tensor(wanted), torch.tensor(found)
            if expected.shape != vector.shape:
                raise ValueError(f"transcoder's probe of layer {layer} is damaged: train it again")
            apart = float((vector - expected).norm() / expected.norm().clamp(min=1e-30))
            if not apart <= close:
                raise ValueError(
                    f"what the MLP of layer {layer} {what} on a fixed input is {apart:.2g} (of its "
                    "length) from what the transcoder was trained on, though the weights are the "
                    "same: the model is configured otherwise, or is read at another point by this "
                    "version of ilo_fast; use the configuration of then, or train it again"
                )


def _names(reader: MLPReader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The modules of each site, within the backbone."""
    names = {module: name for name, module in reader.parts.backbone.named_modules()}
    return (
        tuple(names[site.reads] for site in reader.sites),
        tuple(names[site.writes] for site in reader.sites),
    )


def _dtype(reader: MLPReader) -> str:
    weight = next(p for p in reader.parts.backbone.parameters() if p.is_floating_point())
    return str(weight.dtype).removeprefix("torch.")


def _means(reader: MLPReader, ids: torch.Tensor) -> tuple[Table, Table]:
    """Of what the MLPs read and add: the first numbers of each layer's mean vector."""
    first, second = (
        value.flatten(0, 1).mean(0)[:, :_NUMBERS].double().tolist() for value in reader.read(ids)
    )
    return tuple(map(tuple, first)), tuple(map(tuple, second))
