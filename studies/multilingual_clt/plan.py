"""Which models and transcoders the study makes, how large they are, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

LANGUAGES: Final = ("eng_Latn", "deu_Latn", "fra_Latn", "rus_Cyrl", "hin_Deva")
ENGLISH: Final = "eng_Latn"


@dataclass(frozen=True)
class Condition:
    """How one model comes about.

    Attributes
    ----------
    name : str
    english : float or None
        Share of English in the tokens; the rest is shared equally. None: all share equally.
    romanised : bool
        All text in Latin script.
    tokenizer_english : float or None
        Share of English in the lines that the tokenizer is trained on. None: all equal.
    trained : bool
        False: the model stays as it was initialised, the control of everything.
    """

    name: str
    english: float | None = None
    romanised: bool = False
    tokenizer_english: float | None = None
    trained: bool = True


CONDITIONS: Final = {
    one.name: one
    for one in (
        Condition("equal"),  # of five languages that is 20 % English
        Condition("english50", 0.5),
        Condition("english70", 0.7),
        Condition("english90", 0.9),
        Condition("no-english", 0.0),
        Condition("romanised", romanised=True),
        Condition("english-tokens", tokenizer_english=0.9),
        Condition("random", trained=False),
    )
}


@dataclass(frozen=True)
class Sizes:
    """Of models, transcoders and training; the defaults are for two cores and two hours."""

    hidden_size: int = 128
    num_hidden_layers: int = 6
    vocab_size: int = 4096
    context: int = 64
    batch_size: int = 32
    max_steps: int = 1150
    learning_rate: float = 5e-3
    n_features: int = 1024
    k: int = 16
    transcoder_tokens: int = 700_000


@dataclass(frozen=True)
class Plan:
    """The whole study.

    Attributes
    ----------
    seeds : tuple of int
    languages, conditions : tuple of str
    held_out_every : int
        One chapter of so many is never trained on.
    sizes : Sizes
    """

    seeds: tuple[int, ...] = (0, 1)
    languages: tuple[str, ...] = LANGUAGES
    conditions: tuple[str, ...] = tuple(CONDITIONS)
    held_out_every: int = 12
    sizes: Sizes = field(default_factory=Sizes)

    def __post_init__(self) -> None:
        for name in self.conditions:
            if name not in CONDITIONS:
                raise ValueError(f"condition {name!r} is none of {', '.join(CONDITIONS)}")
        if ENGLISH not in self.languages or len(self.languages) < 3:
            raise ValueError(f"languages={self.languages}: wanted {ENGLISH} and two others or more")

    def models(self) -> list[tuple[Condition, int]]:
        """Condition and seed of each model, all of one seed first."""
        return [(CONDITIONS[name], seed) for seed in self.seeds for name in self.conditions]

    def mixture(self, condition: Condition) -> Mapping[str, float] | None:
        """As `pretrain` takes it."""
        return None if condition.english is None else {ENGLISH: condition.english}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


_CORE: Final = ("equal", "english90", "no-english", "random")
MEASURED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "loss": {"model": tuple(CONDITIONS)},
    "space": {"clt": tuple(CONDITIONS), "plt": _CORE},
    "languages": {"clt": tuple(CONDITIONS), "plt": _CORE},
    "probes": {"clt": tuple(CONDITIONS)},
    "influence": {"clt": _CORE},
    "script": {"clt": ("equal",)},
    "words": {"clt": ("equal", "english-tokens", "random")},
    "ablation": {"clt": ("equal",), "plt": ("equal",)},
    "steering": {"clt": ("equal",)},
}
"""Measurement -> kind of transcoder -> conditions that it is made of."""
