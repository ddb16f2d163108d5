"""What the JSON of a graph must be for others to take it, from the description of their formats.

Neuronpedia's is a JSON schema (draft-07, in the repository hijohnnylin/neuronpedia under
apps/webapp/app/api/graph/graph-schema.json; read at commit ebb8426). The file is not here; what it
asks is said in our words. Where ILO_FAST_TEST_NEURONPEDIA_SCHEMA names the file and jsonschema is
installed, that is asked, too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_NUMBER, _NONE = (int, float), type(None)
_METADATA = {"slug": str, "scan": str, "prompt_tokens": list, "prompt": str}
_MORE_METADATA = {
    "node_threshold": _NUMBER, "feature_details": dict, "info": dict, "generation_settings": dict,
    "pruning_settings": dict,
}  # fmt: skip
_NODE = {
    "node_id": str, "feature": (int, _NONE), "layer": (str, int), "ctx_idx": int,
    "feature_type": str, "jsNodeId": str, "clerp": str,
}  # fmt: skip
_MORE_NODE = {"influence": (*_NUMBER, _NONE), "activation": (*_NUMBER, _NONE)}
_INFO = {
    "description": str, "creator_name": str, "creator_url": str, "source_urls": list,
    "generator": dict, "create_time_ms": _NUMBER,
}  # fmt: skip
_QUERY = {
    "pinnedIds": list, "supernodes": list, "linkType": str, "clickedId": str, "sg_pos": str
}  # fmt: skip
# What circuit-tracer's own types ask besides: they have no null for a feature, no number as layer.
_CIRCUIT_TRACER_NODE = {
    "feature": int, "layer": str, "token_prob": float, "is_target_logit": bool, "run_idx": int,
    "reverse_ctx_idx": int,
}  # fmt: skip


def check_neuronpedia(data: Any) -> None:
    """Raise AssertionError where Neuronpedia would refuse a graph."""
    _has(data, {"metadata": dict, "qParams": dict, "nodes": list, "links": list})
    metadata = data["metadata"]
    _has(metadata, _METADATA, _MORE_METADATA)
    assert all(isinstance(token, str) for token in metadata["prompt_tokens"])
    for name in ("slug", "scan"):  # by its server, not by the schema
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", metadata[name])
    _has(metadata.get("info", {}), {}, _INFO)
    _has(metadata.get("info", {}).get("generator", {}), {}, {"name": str, "version": str})
    details = ("feature_json_base_url", "neuronpedia_source_set")
    _has(metadata.get("feature_details", {}), {}, dict.fromkeys(details, str))
    thresholds = dict.fromkeys(("node_threshold", "edge_threshold"), _NUMBER)
    _has(metadata.get("pruning_settings", {}), {}, thresholds)
    _has(data["qParams"], {}, _QUERY)
    assert all(isinstance(pin, str) for pin in data["qParams"].get("pinnedIds", []))
    for node in data["nodes"]:
        _has(node, _NODE, _MORE_NODE)
    for link in data["links"]:
        _has(link, {"source": str, "target": str, "weight": _NUMBER})
    schema = os.environ.get("ILO_FAST_TEST_NEURONPEDIA_SCHEMA")
    if schema and importlib.util.find_spec("jsonschema"):
        import jsonschema

        jsonschema.Draft7Validator(json.loads(Path(schema).read_text())).validate(data)


def check_circuit_tracer(data: Any) -> None:
    """Raise AssertionError where circuit-tracer's types or viewer would stumble over a graph."""
    _has(data["metadata"], {**_METADATA, "transcoder_list": list, "schema_version": int})
    _has(data["qParams"], _QUERY)
    assert all(isinstance(entry, list) for entry in data["qParams"]["supernodes"])
    for node in data["nodes"]:
        _has(node, {**_NODE, **_CIRCUIT_TRACER_NODE}, _MORE_NODE)
        if node["feature_type"] == "logit":  # where the viewer takes a number from
            assert 0 <= float(node["clerp"].split("(p=")[-1].split(")")[0]) <= 1
        else:
            assert node["layer"] == "E" or int(node["layer"]) >= 0
            assert node["influence"] is not None  # else the viewer's slider hides it
    check_connected(data)


def check_connected(data: Any) -> None:
    """Ids are of one node each, links and groups are of nodes there are."""
    ids = [node["node_id"] for node in data["nodes"]]
    assert len(set(ids)) == len(ids)
    names = [node["jsNodeId"] for node in data["nodes"]]
    assert len(set(names)) == len(names)
    of_type = {node["node_id"]: node["feature_type"] for node in data["nodes"]}
    for link in data["links"]:
        assert of_type[link["source"]] != "logit"
        assert of_type[link["target"]] in ("cross layer transcoder", "logit")
    ends = [(link["source"], link["target"]) for link in data["links"]]
    assert len(set(ends)) == len(ends)
    for _, *members in data["qParams"]["supernodes"]:
        assert set(members) <= of_type.keys()
    assert set(data["qParams"]["pinnedIds"]) <= of_type.keys()


def _has(
    found: Any, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> None:
    assert isinstance(found, dict)
    for name, kind in required.items():
        assert name in found, f"no {name}"
        assert _is(found[name], kind), f"{name} is {found[name]!r}"
    for name, kind in (optional or {}).items():
        assert name not in found or _is(found[name], kind), f"{name} is {found[name]!r}"


def _is(value: Any, kind: Any) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
