"""What a transcoder was trained on: the model, where its MLPs are read, and the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ilo_fast._util.checks import real_number, whole_number
from ilo_fast._util.schema import list_of, object_of, text_of, texts_of

Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Probe:
    """What MLPs read and add on a fixed input; tells another input point or other weights.

    Attributes
    ----------
    ids : (rows, tokens)
        The input.
    reads, adds : (layers, a few)
        The first numbers of the mean over all its tokens.
    """

    ids: tuple[tuple[int, ...], ...]
    reads: Table
    adds: Table


@dataclass(frozen=True)
class TranscodedModel:
    """The model that a transcoder is of.

    Attributes
    ----------
    name : str
    architecture : str
        The class of the module that runs.
    dtype : str
        Of its weights: ``"float32"``.
    weights_sha256 : str
        Over its saved weights, in that dtype.
    reads, writes : tuple of str
        The modules of each layer's site, by their names in the module that runs.
    probe : Probe
    """

    name: str
    architecture: str
    dtype: str
    weights_sha256: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    probe: Probe


@dataclass(frozen=True)
class TranscoderInfo:
    """What a transcoder was trained on, JSON-able but for tuples.

    Attributes
    ----------
    model : TranscodedModel
    context : int
        Tokens of a window.
    skip_positions : int
        So many tokens at the start of each window are neither trained on nor replaced.
    languages : tuple of str
    tokens : int
        Trained on; one that came twice counts twice.
    held_out : str
        Which documents were never trained on, in words.
    options : mapping
        Of the training.
    metrics : mapping or None
        Measured on the documents held out.
    """

    model: TranscodedModel
    context: int
    skip_positions: int
    languages: tuple[str, ...]
    tokens: int
    held_out: str
    options: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TranscoderInfo:
        """The reverse of `to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError
            A value is missing, or is none of its kind; names it.
        """
        metrics = values["metrics"]
        return cls(
            model=_model(object_of("model", values["model"])),
            context=whole_number("context", values["context"]),
            skip_positions=whole_number("skip_positions", values["skip_positions"], least=0),
            languages=texts_of("languages", values["languages"]),
            tokens=whole_number("tokens", values["tokens"], least=0),
            held_out=text_of("held_out", values["held_out"]),
            options=dict(object_of("options", values["options"])),
            metrics=None if metrics is None else dict(object_of("metrics", metrics)),
        )


def _model(values: Mapping[str, Any]) -> TranscodedModel:
    texts = ("name", "architecture", "dtype", "weights_sha256")
    found = {name: text_of(f"model.{name}", values[name]) for name in texts}
    probe = object_of("model.probe", values["probe"])
    model = TranscodedModel(
        **found,
        reads=texts_of("model.reads", values["reads"]),
        writes=texts_of("model.writes", values["writes"]),
        probe=Probe(
            ids=tuple(
                tuple(whole_number("model.probe.ids", i, least=0) for i in list_of("ids", row))
                for row in list_of("model.probe.ids", probe["ids"])
            ),
            reads=_table("model.probe.reads", probe["reads"]),
            adds=_table("model.probe.adds", probe["adds"]),
        ),
    )
    for name, rows in (
        ("writes", model.writes),
        ("probe.reads", model.probe.reads),
        ("probe.adds", model.probe.adds),
    ):
        if len(rows) != len(model.reads):
            raise ValueError(f"model.{name} has {len(rows)} layers, model.reads {len(model.reads)}")
    if len({*map(len, model.probe.ids)}) != 1 or not model.probe.ids[0]:
        raise ValueError("model.probe.ids has rows of different lengths, or no tokens")
    return model


def _table(name: str, values: Any) -> Table:
    return tuple(
        tuple(real_number(name, number) for number in list_of(name, row))
        for row in list_of(name, values)
    )
