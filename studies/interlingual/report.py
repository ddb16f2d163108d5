"""The findings of all models, and the page of tables that is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from page_lines import wrapped

from . import findings as find

Row = dict[str, Any]


def findings(measured: Mapping[str, Any]) -> dict[str, Any]:
    """All tables: of each model, and under ``"all"`` how scores rank the models."""
    found: dict[str, Any] = {name: of_model(one) for name, one in measured.items()}
    return {**found, "all": {"models": find.model_rows(measured)}}


def of_model(one: Any) -> dict[str, Any]:
    """The tables of one model."""
    row = find.best_row(one.scores, "translation_share")
    values = {
        "ilo": one.scores.ilo[row],
        "translation_share": one.scores.translation_share[row],
    }
    return {
        "layers": find.layer_rows(one.scores, one.structure),
        "best_layer": one.scores.layers[row],
        "languages": find.language_rows(one.scores, one.structure, row),
        "explained": {
            score: find.explained(x, one.scores.languages) for score, x in values.items()
        },
        "groups": find.group_rows(one.scores, row),
        "companions": find.companion_ranks(one.scores, one.companions),
        "misleading": find.misleading(one.scores),
        "sizes": find.size_rows(one.curve, one.scores),
    }


def markdown(about: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Everything as one page."""
    models = {name: one for name, one in found.items() if name != "all"}
    units = "sentences" if about["documents"] is None else f"{about['documents']} documents"
    parts = [
        "# Which layers share, which languages stay apart: tables",
        f"{about['languages']} languages, {about['sentences']} sentences each. Intervals: 95 %, "
        f"over {units}. {about['permutations']} permutations, seed {about['seed']}. As the command "
        "wrote it:",
        f"    {about['command']}",
        "## How scores rank the models",
        "The best layer of each model; rank in brackets.",
        _table(found["all"]["models"], _ranked(list(models))),
    ]
    for name, one in models.items():
        parts += [f"## {name}", *_of_model(one)]
    made = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    seconds = [
        {"model": name, "step": step, "seconds": float(taken)}
        for name, steps in about["seconds"].items()
        for step, taken in steps.items()
    ]
    parts += [
        "## Made with",
        f"{made}. Seconds by the clock, pauses among them:",
        _table(seconds, (_plain("model"), _plain("step"), _plain("seconds", digits=0))),
    ]
    return "\n\n".join(map(wrapped, parts)) + "\n"


def _of_model(one: Mapping[str, Any]) -> list[str]:
    best, misled = one["best_layer"], one["misleading"]
    pairs = ", ".join(f"{a} and {b}" for a, b in misled["which"]) or "none"
    return [
        "### Layers",
        _table(one["layers"], _LAYERS),
        f"### Languages at layer {best}, whose translation share is highest",
        _table(one["languages"], _LANGUAGES),
        f"### What explains the spread between languages at layer {best}",
        "The share of the sum of squares that lies between groups; p of exchanged languages, Holm "
        "over the four.",
        *(f"{score}:\n\n{_table(rows, _EXPLAINED)}" for score, rows in one["explained"].items()),
        _table(one["groups"], _GROUPS),
        "### Companions: how they order the layers",
        "Spearman's correlation over layers.",
        _table(one["companions"], _COMPANIONS),
        "### Where ILO alone misleads",
        f"ILO is highest at layer {misled['layer_by_ilo']} (ILO {misled['ilo_there'][0]:.3f}, "
        f"translation share {misled['translation_share_there'][0]:.3f}), the translation share at "
        f"layer {misled['layer_by_translations']} (ILO {misled['ilo_there'][1]:.3f}, translation "
        f"share {misled['translation_share_there'][1]:.3f}). Spearman's correlation of both over "
        f"layers {_number(misled['layers'])}, over languages at the latter "
        f"{_number(misled['languages'])}. Of {misled['pairs']} pairs of layers both order "
        f"{misled['decided']} surely, {misled['opposite']} of these in opposite ways: {pairs}.",
        "### Number of sentences",
        _table(one["sizes"], _SIZES),
    ]


def _range(score: str) -> tuple[str, Any]:
    def cell(row: Row) -> str:
        if row.get(f"{score}_low") is None:
            return f"{row[score]:.3f}"
        return f"{row[score]:.3f} [{row[f'{score}_low']:.3f}, {row[f'{score}_high']:.3f}]"

    return {"ilo": "ILO", "translation_share": "translation share"}[score], cell


def _plain(key: str, title: str | None = None, digits: int = 3) -> tuple[str, Any]:
    return title or key.replace("_", " "), lambda row: _number(row.get(key), digits)


def _number(value: Any, digits: int = 3) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


_ILO, _SHARE = _range("ilo"), _range("translation_share")
_LAYERS = (
    _plain("layer"), _ILO, _plain("ilo_under_mixing"), _plain("p_mixing"), _SHARE,
    _plain("times_chance", "times chance", 1), _plain("p_translation"), _plain("core_share"),
    _plain("core_under_mixing"), _plain("core_languages"), _plain("modularity_language"),
    _plain("fragments"),
)  # fmt: skip
_LANGUAGES = (
    _plain("language"), _plain("name"), _plain("resource_class", "class"), _plain("family"),
    _plain("script"), _plain("ilo", "ILO"), _SHARE, _plain("core_share", "in the core", 2),
    _plain("fragment"),
)  # fmt: skip
_EXPLAINED = (
    _plain("by"), _plain("groups"), _plain("explained"), _plain("chance"), _plain("p", digits=4),
    _plain("p_holm", "p, Holm", 4),
)  # fmt: skip
_GROUPS = (_plain("by"), _plain("group"), _plain("n_languages", "languages"), _ILO, _SHARE)
_COMPANIONS = (
    _plain("score"), _plain("best_layer"), _plain("with_ilo", "with ILO", 2),
    _plain("with_translation_share", "with translation share", 2),
)  # fmt: skip
_SIZES = (
    _plain("layer"), _plain("n_sentences", "sentences", 0),
    _plain("ilo", "ILO"), _plain("translation_share"),
)  # fmt: skip


def _ranked(models: Sequence[str]) -> list[tuple[str, Any]]:
    def cell(name: str) -> Any:
        return lambda row: f"{row[name]:.3f} ({row[f'{name}_rank']:g})"

    return [_plain("score"), *((name, cell(name)) for name in models)]


def _table(rows: Sequence[Row], columns: Sequence[tuple[str, Any]]) -> str:
    lines = [" | ".join(title for title, _ in columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(cell(row) for _, cell in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
