"""A run as the page takes it: scores, and what else there is of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ilo_fast.scores.companions.result import Companions
    from ilo_fast.scores.result import OverlapScores
    from ilo_fast.scores.structure.result import Structure


@dataclass(frozen=True, eq=False)
class RunData:
    """One measurement. Everything but the scores may be missing; what needs it is left out.

    Attributes
    ----------
    name : str
        What the page calls it.
    scores : OverlapScores
        With ``neighbors``, readers can look at single sentences.
    companions : Companions or None
    structure : Structure or None
    positions : float array, shape (layers, points, 2), or None
        The map.
    texts : mapping of language to list of str, or None
        The sentences, as many as were scored. None leaves them out of the page.

    Raises
    ------
    ValueError
        Layers, languages or sentences that are not those of the scores.
    """

    name: str
    scores: OverlapScores
    companions: Companions | None = None
    structure: Structure | None = None
    positions: NDArray[Any] | None = None
    texts: Mapping[str, Sequence[str]] | None = None

    def __post_init__(self) -> None:
        scores = self.scores
        for what, found in (("companions", self.companions), ("structure", self.structure)):
            for axis in ("layers", "languages"):
                wanted = tuple(getattr(scores, axis))
                if found is not None and tuple(getattr(found, axis)) != wanted:
                    raise ValueError(
                        f"{what} have other {axis} than the scores: make them of the same run"
                    )
        points = sum(scores.n_sentences)
        wanted_shape = (len(scores.layers), points, 2)
        if self.positions is not None and self.positions.shape != wanted_shape:
            raise ValueError(
                f"positions have shape {self.positions.shape}, wanted {wanted_shape}: layers, "
                "points, 2"
            )
        if self.texts is not None:
            self._check_texts(self.texts)

    def _check_texts(self, texts: Mapping[str, Sequence[str]]) -> None:
        for code, n in zip(self.scores.languages, self.scores.n_sentences, strict=True):
            own = texts.get(code, ())
            if not isinstance(own, Sequence) or not all(isinstance(text, str) for text in own):
                raise TypeError(f"texts of {code} must be a list of strings, got {own!r:.60}")
            found = len(own)
            if found != n:
                raise ValueError(
                    f"texts hold {found} sentences of {code}, but {n} were scored: give the texts "
                    "that were scored, or none"
                )
