"""Which features are active: those above a threshold of their own, or the k largest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

from ilo_fast._util.checks import real_number, whole_number

_LEAST, _MOST = 1e-30, 1e30  # of a threshold, which is a float32


@dataclass(frozen=True)
class JumpReLU:
    """A feature is active where its pre-activation is above a threshold of its own, a learned one.

    Thresholds have no true gradient; a rectangle of `bandwidth` about each gives one
    (straight-through; Rajamanoharan et al. 2024, arXiv 2407.14435).
    """

    initial_threshold: float = 0.03
    bandwidth: float = 0.1
    kind: ClassVar[str] = "jumprelu"

    def __post_init__(self) -> None:
        for name in ("initial_threshold", "bandwidth"):
            if not _LEAST <= real_number(name, getattr(self, name)) <= _MOST:
                raise ValueError(
                    f"{name}={getattr(self, name)} must be from {_LEAST:g} to {_MOST:g}"
                )


@dataclass(frozen=True)
class TopK:
    """Of every layer, the `k` largest positive pre-activations of each token."""

    k: int = 16
    kind: ClassVar[str] = "topk"

    def __post_init__(self) -> None:
        whole_number("k", self.k)


@dataclass(frozen=True)
class BatchTopK:
    """Of every layer, the largest positive pre-activations of a batch, `k` a token on average.

    A token must not depend on what it was batched with, so that outside training one threshold for
    each layer, calibrated to the same average, takes their place.
    """

    k: int = 16
    kind: ClassVar[str] = "batchtopk"

    def __post_init__(self) -> None:
        whole_number("k", self.k)


Activation = JumpReLU | TopK | BatchTopK
_KINDS: Final[dict[str, type[Activation]]] = {
    "jumprelu": JumpReLU,
    "topk": TopK,
    "batchtopk": BatchTopK,
}


def activation_to_dict(activation: Activation) -> dict[str, Any]:
    """JSON-able."""
    return {"kind": activation.kind, **asdict(activation)}


def activation_from_dict(values: dict[str, Any]) -> Activation:
    """The reverse of `activation_to_dict`."""
    values = dict(values)
    kind = values.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"activation {kind!r} is none of {', '.join(_KINDS)}")
    try:
        return _KINDS[kind](**values)
    except (TypeError, ValueError) as e:
        raise ValueError(f"activation {kind}: {e}") from None
