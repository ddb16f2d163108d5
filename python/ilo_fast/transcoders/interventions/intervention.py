"""`Intervention`: what is done to one feature of a transcoder, at which tokens of which prompts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

import torch

from ilo_fast._util.checks import MOST, real_number, whole_number
from ilo_fast._util.messages import counted
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

_WAYS: Final = ("value", "scale", "add")
_SIGNS: Final = {"value": "=", "scale": "*", "add": "+"}


@dataclass(frozen=True)
class Intervention:
    """One feature set, scaled, or added to.

    Parameters
    ----------
    layer, feature : int
        The feature is counted in its layer.
    value, scale, add : float
        Exactly one: the activation is this; so many times what it is; so much more. Features that
        are not active have an activation of 0, and can be set or added to as others.
    positions
        Of the tokens, counted from the prompt's first token, padding left out; negative ones from
        the prompt's end: an int, a slice, or several ints. None: everywhere, also in what is
        generated, and so from its start on a slice without a stop. A slice takes what there is of
        it; ints must lie in the prompt. Positions that the transcoder skips are never touched.
    rows
        Which prompts of a batch, an int or several. None: all.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be; names it.
    """

    layer: int
    feature: int
    _: KW_ONLY
    value: float | None = None
    scale: float | None = None
    add: float | None = None
    positions: int | slice | Collection[int] | None = None
    rows: int | Collection[int] | None = None

    def __post_init__(self) -> None:
        def keep(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        keep("layer", whole_number("layer", self.layer, least=0))
        keep("feature", whole_number("feature", self.feature, least=0))
        given = [name for name in _WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            came = " and ".join(given) if given else "none of them"
            raise ValueError(
                f"{self._name} got {came}: give exactly one of value= (set it), scale= and add="
            )
        keep(given[0], real_number(given[0], getattr(self, given[0])))
        keep("positions", _positions(self.positions))
        if self.rows is not None:
            keep("rows", _numbers("rows", self.rows, least=0))

    @property
    def _name(self) -> str:
        return f"intervention on feature {self.feature} of layer {self.layer}"

    def __str__(self) -> str:
        """``3/28=0``, ``3/28*2``, ``3/28+1.5``, as the command line has it."""
        way = next(name for name in _WAYS if getattr(self, name) is not None)
        number = getattr(self, way)
        sign = "" if way == "add" and number < 0 else _SIGNS[way]
        return f"{self.layer}/{self.feature}{sign}{number:g}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        cut = self.positions
        places = [cut.start, cut.stop, cut.step] if isinstance(cut, slice) else cut
        return vars(self) | {"positions": {"slice": places} if places is not cut else cut}

    def is_of(self, prompt: int) -> bool:
        """Whether it acts on the prompt of this number."""
        return self.rows is None or prompt in _several(self.rows)

    def touches(self, length: int, skip: int) -> bool:
        """Whether it acts on a prompt of this length, or on what follows it."""
        cut = self.positions
        if not isinstance(cut, slice) or cut.stop is None:
            return True
        return any(position >= skip for position in range(*cut.indices(length)))

    def apply(self, activation: torch.Tensor) -> torch.Tensor:
        """The activations that are wanted in place of these."""
        if self.value is not None:
            return torch.full_like(activation, self.value)
        if self.scale is not None:
            return activation * self.scale
        assert self.add is not None
        return activation + self.add

    def mask(
        self, positions: torch.Tensor, lengths: torch.Tensor, prompts: torch.Tensor, skip: int
    ) -> torch.Tensor:
        """(rows, tokens) where it acts.

        Parameters
        ----------
        positions : (rows, tokens)
            Of every token in its prompt; -1 for padding.
        lengths, prompts : (rows,)
            Tokens of the row's prompt; the number of the prompt.
        skip
            So many positions are never touched.
        """
        found = positions >= skip  # which is not negative, as padding is
        if self.rows is not None:
            found &= torch.isin(prompts, prompts.new_tensor(list(_several(self.rows))))[:, None]
        if self.positions is None:
            return found
        ends = lengths[:, None]
        if isinstance(self.positions, slice):
            start = self.positions.start or 0
            first = (ends + start).clamp(min=0) if start < 0 else torch.full_like(ends, start)
            found &= positions >= first
            if self.positions.stop is not None:
                stop = self.positions.stop
                found &= positions < (ends + stop if stop < 0 else stop)
            return found & ((positions - first) % (self.positions.step or 1) == 0)
        places = lengths.new_tensor(list(_several(self.positions)))
        places = torch.where(places < 0, ends + places, places)  # (rows, places)
        return found & (positions[:, :, None] == places[:, None]).any(-1)

    def check(self, transcoder: CrossLayerTranscoder) -> None:
        """Refuse a feature that the transcoder does not have."""
        for name, number, count, of in (
            ("layer", self.layer, transcoder.n_layers, "the transcoder"),
            ("feature", self.feature, transcoder.n_features, f"layer {self.layer}"),
        ):
            if number >= count:
                raise ValueError(
                    f"{self._name}: {name}={number} is out of range, {of} has {name}s 0 to "
                    f"{count - 1}"
                )

    def check_places(self, begins: Sequence[int], lengths: Sequence[int], skip: int) -> None:
        """Refuse prompts and positions that are not there.

        Parameters
        ----------
        begins
            Of every prompt: the first position that is computed; those before come from a cache.
        lengths
            Tokens of every prompt.
        """
        rows = range(len(lengths)) if self.rows is None else list(_several(self.rows))
        for row in rows:
            if row >= len(lengths):
                raise ValueError(
                    f"{self._name}: rows={row} is out of range, the batch has prompts 0 to "
                    f"{len(lengths) - 1}"
                )
        if self.positions is None:
            return
        if isinstance(self.positions, slice):
            if not any(self.touches(lengths[row], skip) for row in rows):
                raise ValueError(
                    f"{self._name}: positions={self.positions} holds no token of "
                    f"{_prompt(rows, lengths)}: the first {skip} are never touched"
                )
            return
        for row in rows:
            for position in _several(self.positions):
                self._check_place(row, position, begins[row], lengths[row], skip)

    def _check_place(self, row: int, position: int, begin: int, length: int, skip: int) -> None:
        at = position + length if position < 0 else position
        if not 0 <= at < length:
            raise ValueError(
                f"{self._name}: positions={position} is beyond prompt {row}, which has {length} "
                f"tokens: give {skip} to {length - 1}, or {skip - length} to -1; a slice without a "
                "stop takes tokens that are generated, too"
            )
        if at < skip:
            raise ValueError(
                f"{self._name}: positions={position} of prompt {row} is never touched, for the "
                f"transcoder was not trained on the first {counted(skip, 'token')}: give {skip} "
                f"to {length - 1}"
            )
        if at < begin:
            raise ValueError(
                f"{self._name}: positions={position} of prompt {row} comes from a cache and is not "
                "computed again: pass the whole prompt"
            )


def _prompt(rows: Sequence[int], lengths: Sequence[int]) -> str:
    if len(rows) == 1:
        return f"prompt {rows[0]}, which has {lengths[rows[0]]} tokens"
    return f"the prompts, which have at most {max(lengths[row] for row in rows)} tokens"


def _several(value: Any) -> Collection[int]:
    return (value,) if isinstance(value, int) else value


def _numbers(name: str, value: Any, least: int) -> int | tuple[int, ...]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return whole_number(name, value, least=least)
    if getattr(value, "ndim", 1) != 1:  # an array or a tensor
        return whole_number(name, value.item() if value.ndim == 0 else value, least=least)
    numbers = tuple(whole_number(name, number, least=least) for number in value)
    if not numbers:
        raise ValueError(f"{name} is empty: give at least one, or None for all")
    return numbers


def _positions(value: Any) -> int | slice | tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, slice):
        return _numbers("positions", value, least=-MOST)
    start, stop = (
        None if end is None else whole_number("positions", end, least=-MOST)
        for end in (value.start, value.stop)
    )
    step = None if value.step is None else whole_number("positions (the step)", value.step)
    return slice(start, stop, step)
