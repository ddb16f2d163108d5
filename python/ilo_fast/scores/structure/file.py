"""``structure.json``, and the labels of points in ``structure.npz`` beside it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number, whole_number
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.messages import listed
from ilo_fast._util.npz import opened_npz
from ilo_fast._util.schema import (
    check_schema,
    count_table,
    damage_refused,
    list_of,
    object_of,
    share_or_none,
    text_of,
    texts_of,
    whole_numbers,
)
from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums
from ilo_fast.scores.structure.parts import Component, LayerComponents

STRUCTURE_FILE: Final = "structure.json"
LABELS_FILE: Final = "structure.npz"
SCHEMA_VERSION: Final = 1
KIND: Final = "ilo_fast.structure"

_MOST: Final = 2**31  # points, and neighbours of one


class StructureFields(Protocol):
    """What of a `Structure` is written."""

    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def n_points(self) -> tuple[int, ...]: ...
    @property
    def n_neighbors(self) -> int: ...
    @property
    def counts(self) -> NDArray[np.int64]: ...
    @property
    def link_sums(self) -> tuple[LinkSums, ...]: ...
    @property
    def components(self) -> tuple[LayerComponents, ...]: ...
    @property
    def names(self) -> Mapping[int, str]: ...
    @property
    def flows(self) -> tuple[tuple[tuple[int, int, int], ...], ...]: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def info(self) -> Mapping[str, Any]: ...


def structure_object(found: StructureFields) -> dict[str, Any]:
    """A structure as JSON can hold it, without the labels of points."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "settings": dict(found.settings),
        "info": dict(found.info),
        "n_neighbors": found.n_neighbors,
        "languages": list(found.languages),
        "n_points": list(found.n_points),
        "names": {str(label): name for label, name in found.names.items()},
        "layers": [
            {
                "layer": layer,
                "counts": counts.tolist(),
                "link_sums": dataclasses.asdict(links),
                "components": dataclasses.asdict(components),
            }
            for layer, counts, links, components in zip(
                found.layers, found.counts, found.link_sums, found.components, strict=True
            )
        ],
        "flows": [[list(flow) for flow in flows] for flows in found.flows],
    }


def read_fields(data: Any) -> dict[str, Any]:
    """The fields of a `Structure`, from what `structure_object` gave.

    Raises
    ------
    ValueError
        Something else, another schema version, or what contradicts itself.
    """
    check_schema(data, KIND, SCHEMA_VERSION, "find the structure again")
    with damage_refused("its parts", "find the structure again"):
        fields = _fields(data)
        _check(fields)
        return fields


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    layers = {
        f"layers[{h}]": object_of(f"layers[{h}]", one)
        for h, one in enumerate(list_of("layers", data["layers"]))
    }
    languages = texts_of("languages", data["languages"])
    shape = (len(languages), len(languages))
    counts = [count_table(f"{at}.counts", one["counts"], shape) for at, one in layers.items()]
    return {
        "layers": whole_numbers("layer", [one["layer"] for one in layers.values()], distinct=True),
        "languages": languages,
        "n_points": whole_numbers("n_points", data["n_points"], least=1, most=_MOST),
        "n_neighbors": whole_number("n_neighbors", data["n_neighbors"], most=_MOST),
        "counts": np.array(counts, np.int64),
        "link_sums": tuple(
            _link_sums(f"{at}.link_sums", one["link_sums"]) for at, one in layers.items()
        ),
        "components": tuple(
            _components(f"{at}.components", one["components"], languages)
            for at, one in layers.items()
        ),
        "names": _names(data["names"]),
        "flows": tuple(_flows(one) for one in list_of("flows", data["flows"])),
        "settings": _settings(data["settings"]),
        "info": dict(object_of("info", data["info"])),
    }


def _settings(given: Any) -> dict[str, Any]:
    settings = dict(object_of("settings", given))
    whole_number("settings.languages_needed", settings["languages_needed"])  # pages name it
    return settings


def _link_sums(at: str, given: Any) -> LinkSums:
    sums = object_of(at, given)
    names = [field.name for field in dataclasses.fields(LinkSums)]
    return LinkSums(**{name: whole_number(f"{at}.{name}", sums[name], 0) for name in names})


def _components(at: str, given: Any, languages: tuple[str, ...]) -> LayerComponents:
    parts = object_of(at, given)
    fragments = enumerate(list_of(f"{at}.fragments", parts["fragments"]))
    return LayerComponents(
        core=_component(f"{at}.core", parts["core"], languages),
        fragments=tuple(_component(f"{at}.fragments[{f}]", one, languages) for f, one in fragments),
        rest=whole_number(f"{at}.rest", parts["rest"], 0),
        largest=whole_number(f"{at}.largest", parts["largest"], 0),
        core_under_mixing=real_number(f"{at}.core_under_mixing", parts["core_under_mixing"]),
        translations=share_or_none(f"{at}.translations", parts["translations"]),
    )


def _component(at: str, given: Any, languages: tuple[str, ...]) -> Component:
    one = object_of(at, given)
    named = {key: texts_of(f"{at}.{key}", one[key]) for key in ("languages", "main")}
    if odd := {*named["languages"], *named["main"]} - {*languages}:
        raise ValueError(f"{at} names {listed(sorted(odd))}, no language of this structure")
    counts = whole_numbers(f"{at}.counts", one["counts"])
    size = whole_number(f"{at}.size", one["size"], 0)
    if len(counts) != len(languages) or sum(counts) != size:
        raise ValueError(f"{at}.counts do not add up to its size of {size}, language by language")
    common = object_of(f"{at}.common", one["common"])
    return Component(
        label=whole_number(f"{at}.label", one["label"], 0),
        name=text_of(f"{at}.name", one["name"]),
        size=size,
        n_parts=whole_number(f"{at}.n_parts", one["n_parts"], 0),
        counts=counts,
        languages=named["languages"],
        main=named["main"],
        purity=share_or_none(f"{at}.purity", one["purity"]),
        common={key: text_of(f"{at}.common", value) for key, value in common.items()},
    )


def _names(given: Any) -> dict[int, str]:
    names = {}
    for label, name in object_of("names", given).items():
        if not label.removeprefix("-").isdecimal() or len(label) > 10:
            raise ValueError(f"names hold {label!r:.60}, wanted labels of parts: whole numbers")
        names[int(label)] = text_of("names", name)
    return names


def _flows(given: Any) -> tuple[tuple[int, int, int], ...]:
    flows = []
    for flow in list_of("flows", given):
        if len(list_of("flows", flow)) != 3:
            raise ValueError(f"flows hold {flow!r:.60}, wanted a label, a label and their points")
        here, there, n = whole_numbers("flows", flow, least=-1)
        flows.append((here, there, whole_number("flows", n)))
    return tuple(flows)


def _check(fields: Mapping[str, Any]) -> None:
    """Raise where the numbers are not those of such a graph."""
    sizes = np.array(fields["n_points"], np.int64)
    n, k = int(sizes.sum()), fields["n_neighbors"]
    if len(sizes) != len(fields["languages"]) or not fields["layers"]:
        raise ValueError(
            f"n_points has {len(sizes)} numbers for {len(fields['languages'])} languages and "
            f"{len(fields['layers'])} layers"
        )
    counts = fields["counts"]
    if (counts < 0).any() or (counts.sum(axis=2) != sizes * k).any():
        raise ValueError("counts are not those of every point's n_neighbors neighbours")
    for links in fields["link_sums"]:
        if (links.n, links.links) != (n, n * k):
            raise ValueError(f"link_sums are of {links.links} links, wanted {n * k} of {n} points")
    by_label = [_sizes(layer) for layer in fields["components"]]
    for layer, parts in zip(fields["components"], by_label, strict=True):
        if sum(parts.values()) != n or len(parts) != 2 + len(layer.fragments):
            raise ValueError("core, fragments and rest do not add up to all points")
        if layer.core.label != 0:
            raise ValueError(f"the core has label {layer.core.label}, wanted 0")
        if not 0 <= layer.core_under_mixing <= n or layer.largest > n:
            raise ValueError(f"core_under_mixing or largest is more than all {n} points")
        if unnamed := parts.keys() - fields["names"].keys():
            raise ValueError(f"names have none for label {listed(sorted(unnamed))}")
    if len(fields["flows"]) != len(by_label) - 1:
        raise ValueError(f"flows are {len(fields['flows'])}, wanted one between layers each")
    for flows, *ends in zip(fields["flows"], by_label, by_label[1:], strict=False):
        for side, parts in enumerate(ends):
            found = dict.fromkeys(parts, 0)
            for flow in flows:
                found[flow[side]] = found.get(flow[side], 0) + flow[2]
            if found != parts:
                raise ValueError("flows do not add up to the parts of the layers at their ends")


def _sizes(layer: LayerComponents) -> dict[int, int]:
    """Points by label."""
    return {-1: layer.rest, 0: layer.core.size, **{one.label: one.size for one in layer.fragments}}


def write_labels(labels: NDArray[np.int32], folder: Path) -> Path:
    """Write ``structure.npz``; the same labels give the same bytes."""
    stream = io.BytesIO()
    np.savez_compressed(stream, labels=labels)
    path = folder / LABELS_FILE
    with replace_atomically(path, stream.tell()) as file:
        file.write(stream.getvalue())
    return path


def read_labels(folder: Path, found: StructureFields) -> NDArray[np.int32] | None:
    """The labels beside a ``structure.json``; None where there are none.

    Raises
    ------
    ValueError
        They are damaged, or those of another structure; names the file.
    """
    path = folder / LABELS_FILE
    try:
        with opened_npz(path, "labels") as arrays:
            return _checked_labels(arrays["labels"], found)
    except FileNotFoundError:
        return None


def _checked_labels(labels: NDArray[Any], found: StructureFields) -> NDArray[np.int32]:
    shape = (len(found.layers), sum(found.n_points))
    if labels.shape != shape or labels.dtype != np.int32:
        raise ValueError(
            f"it holds {labels.dtype} of shape {labels.shape}, wanted int32 of {shape}"
        )
    for row, layer in zip(labels, found.components, strict=True):
        for one in (layer.core, *layer.fragments):
            if np.count_nonzero(row == one.label) != one.size:
                raise ValueError(f"it belongs to another structure: {one.name} differs")
    return labels
