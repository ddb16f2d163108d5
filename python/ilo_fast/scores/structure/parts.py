"""The parts of one layer: the core that languages share, the fragments around it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ilo_fast._util.messages import plain
from ilo_fast.corpora.languages import describe_language


@dataclass(frozen=True)
class Component:
    """The core of a layer, or one of its fragments.

    Attributes
    ----------
    label : int
        What `Structure.labels` says of its points: 0 the core, from 1 on fragments. A fragment of
        the same languages has the same label at every layer.
    name : str
        ``"core"``, or the main languages of the fragment in this layer: ``"Danish, Swedish"``.
    size : int
        Points.
    n_parts : int
        How many connected components the core is made of, or how many communities the fragment.
    counts : tuple of int
        Of the points, how many are of each language.
    languages : tuple of str
        Those that it holds: at least half of their points are inside.
    main : tuple of str
        The fewest languages that make up a fragment of this layer (``settings["purity"]`` of its
        points), the largest first; of the core none.
    purity : float or None
        The share of the fragment's points that are of these languages.
    common : dict
        What these languages have in common: any of ``"family"``, ``"script"``, ``"region"``.
    """

    label: int
    name: str
    size: int
    n_parts: int
    counts: tuple[int, ...]
    languages: tuple[str, ...]
    main: tuple[str, ...] = ()
    purity: float | None = None
    common: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerComponents:
    """How the points of one layer fall apart.

    Attributes
    ----------
    core : Component
        Of size 0 where nothing is shared.
    fragments : tuple of Component
        The largest first.
    rest : int
        Points in neither: loosely attached, or in a small community, or in one that mixes many
        languages without mutual links that hold them together.
    largest : int
        Points of the largest connected component of mutual links across languages.
    core_under_mixing : float
        Points of the core where languages are exchanged at random: within sentences if the text is
        parallel, else among all points. The mean of some draws; more than this is not to be
        expected of this graph.
    translations : float or None
        Of the links that hold the core together, the share between translations: by chance one of
        as many as there are sentences. None where the text is not parallel, or without a core.
    """

    core: Component
    fragments: tuple[Component, ...]
    rest: int
    largest: int
    core_under_mixing: float
    translations: float | None = None


def short_name(code: str, languages: Collection[str]) -> str:
    """``"Banjar"`` of ``"Banjar (Latin script)"``, unless another of the languages is Banjar, too.

    Parameters
    ----------
    languages
        Codes, this one among them.
    """
    name = plain(describe_language(code)["name"])  # of an unknown code, the code
    if not name.endswith(" script)"):
        return name
    stem = name.split(" (")[0]
    others = (str(describe_language(other)["name"]) for other in languages if other != code)
    return name if any(other.split(" (")[0] == stem for other in others) else stem
