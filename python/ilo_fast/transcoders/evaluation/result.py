"""`TranscoderScores`: how well a transcoder stands in for the MLPs, by layer and language."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import path_of, whole_number
from ilo_fast._util.equality import same_fields
from ilo_fast._util.files import write_text
from ilo_fast._util.optional import data_frame, require
from ilo_fast._util.schema import (
    check_schema,
    count_table,
    damage_refused,
    number_table,
    object_of,
    read_result,
    texts_of,
)

SCHEMA_VERSION: Final = 1
SCORES_FILE: Final = "metrics.json"
ALL: Final = "all"
CASCADE: Final = "cascade"
DENSITY_EDGES: Final = tuple(-7 + step / 2 for step in range(15))  # log10 of shares of tokens
_KIND: Final = "ilo_fast.transcoder_scores"
_AGAIN: Final = "evaluate again"
_NO_GAP: Final = 1e-6  # nats: rounding, in float32

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TranscoderScores:
    """How well a transcoder stands in for a model's MLPs, on text that it was not trained on.

    The first axis of most arrays is `groups`: all tokens together, then each language. The axis of
    outputs, where one is named, is the layers one at a time, and last the full cascade: all layers
    replaced, each fed with what the replaced ones made. Two are equal where all is equal but
    ``info``.

    Attributes
    ----------
    languages : tuple of str
    n_features : int
        Of every layer.
    skip_positions : int
        So many positions at the beginning of each window are neither replaced nor counted.
    n_windows, n_documents, n_tokens, n_predictions : int64, (groups,)
        What was counted. The last token of a window predicts nothing that is known: it counts for
        explained variance, L0 and density, not for the others.
    explained_variance : float64, (groups, layers)
        Of what the MLP adds: 1 - sum ||y - yhat||^2 / sum ||y - ybar||^2, both sums over all tokens
        of the group, and ybar their mean: of a language its own. NaN where y does not vary.
    l0 : float64, (groups, layers)
        Active features of a token, on average.
    dead_share : float64, (groups, layers)
        Share of features that were active on none of the group's tokens: of a language, those
        silent in it. It falls with the number of tokens, so state it with `n_tokens`.
    density_histogram : int64, (layers, bins)
        Features by the share of all tokens on which they are active; silent ones left out. Bins
        are between `DENSITY_EDGES`, in log10.
    above_tenth, above_half : int64, (layers,)
        Features active on more than 10 % and 50 % of all tokens.
    ce_model : float64, (groups,)
        Cross-entropy of the model's next-token predictions, in nats.
    ce_replacement, ce_zero, ce_mean : float64, (groups, outputs)
        The same where MLPs are replaced by the transcoder, by nothing, and by ybar of all tokens.
    kl : float64, (groups, outputs)
        KL(model || replacement) of these predictions, in nats.
    top1_agreement : float64, (groups, outputs)
        Share of predictions whose most probable token is the same.
    explained_variance_interval : float64, (groups, layers, 2)
    kl_interval, recovered_zero_interval, recovered_mean_interval : float64, (groups, outputs, 2)
        95 %, by drawing the documents of each language again; the means that variances are about
        are held fixed. NaN with fewer than two documents, and where the ratio was undefined in a
        draw.
    seed, n_boot : int
        Of the bootstrap.
    info : dict
        How the scores were made: model, transcoder, text, versions.
    """

    languages: tuple[str, ...]
    n_features: int
    skip_positions: int
    n_windows: Counts
    n_documents: Counts
    n_tokens: Counts
    n_predictions: Counts
    explained_variance: Floats
    l0: Floats
    dead_share: Floats
    density_histogram: Counts
    above_tenth: Counts
    above_half: Counts
    ce_model: Floats
    ce_replacement: Floats
    ce_zero: Floats
    ce_mean: Floats
    kl: Floats
    top1_agreement: Floats
    explained_variance_interval: Floats
    kl_interval: Floats
    recovered_zero_interval: Floats
    recovered_mean_interval: Floats
    seed: int = 0
    n_boot: int = 2000
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """``"all"``, then the languages."""
        return (ALL, *self.languages)

    @property
    def n_layers(self) -> int:
        return int(self.explained_variance.shape[1])

    @property
    def outputs(self) -> tuple[int | str, ...]:
        """The layers, then ``"cascade"``."""
        return (*range(self.n_layers), CASCADE)

    @property
    def recovered_zero(self) -> Floats:
        """Cross-entropy recovered against zero ablation, (groups, outputs).

        (CE of ablation - CE of replacement) / (CE of ablation - CE of model): 1 is as good as the
        model, 0 as bad as the ablation. NaN where ablation does no harm.
        """
        return recovered(self.ce_model[:, None], self.ce_replacement, self.ce_zero)

    @property
    def recovered_mean(self) -> Floats:
        """The same against mean ablation."""
        return recovered(self.ce_model[:, None], self.ce_replacement, self.ce_mean)

    def __repr__(self) -> str:
        return (
            f"TranscoderScores({self.n_layers} layers, {len(self.languages)} languages; mean "
            f"explained variance {self.explained_variance[0].mean():.3f}, "
            f"L0 {self.l0[0].sum():.1f}, "
            f"KL of the cascade {self.kl[0, -1]:.3f})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TranscoderScores):
            return NotImplemented
        return same_fields(
            self, other, (f.name for f in dataclasses.fields(self) if f.name != "info")
        )

    def __hash__(self) -> int:
        return hash((self.languages, self.n_layers, self.n_features))

    def rows(self) -> list[dict[str, Any]]:
        """One record per group and output; what does not exist of a cascade is NaN there."""
        found = []
        zero, mean = self.recovered_zero, self.recovered_mean
        for g, group in enumerate(self.groups):
            for o, output in enumerate(self.outputs):
                of_layer = o < self.n_layers
                ev = self.explained_variance_interval[g, o] if of_layer else (np.nan, np.nan)
                record = {
                    "language": group,
                    "layer": output,
                    "explained_variance": self.explained_variance[g, o] if of_layer else np.nan,
                    "explained_variance_low": ev[0],
                    "explained_variance_high": ev[1],
                    "l0": self.l0[g, o] if of_layer else self.l0[g].sum(),
                    "dead_share": self.dead_share[g, o] if of_layer else np.nan,
                    "kl": self.kl[g, o],
                    "kl_low": self.kl_interval[g, o, 0],
                    "kl_high": self.kl_interval[g, o, 1],
                    "ce_model": self.ce_model[g],
                    "ce_replacement": self.ce_replacement[g, o],
                    "ce_zero": self.ce_zero[g, o],
                    "ce_mean": self.ce_mean[g, o],
                    "recovered_zero": zero[g, o],
                    "recovered_zero_low": self.recovered_zero_interval[g, o, 0],
                    "recovered_zero_high": self.recovered_zero_interval[g, o, 1],
                    "recovered_mean": mean[g, o],
                    "recovered_mean_low": self.recovered_mean_interval[g, o, 0],
                    "recovered_mean_high": self.recovered_mean_interval[g, o, 1],
                    "top1_agreement": self.top1_agreement[g, o],
                }
                numbers = {k: float(v) for k, v in record.items() if k not in ("language", "layer")}
                found.append({"language": group, "layer": output, **numbers})
        return found

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def plot(self) -> Any:
        """Explained variance and L0 by layer and language: a new figure (needs matplotlib)."""
        require("matplotlib", "report")
        from ilo_fast.plots.transcoder import TranscoderTable, transcoder_figure

        return transcoder_figure(
            TranscoderTable(
                groups=self.groups,
                explained_variance=self.explained_variance,
                l0=self.l0,
                title="What the transcoder explains",
                subtitle=str(self.info.get("title", "")),
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; what is not a number is None."""
        tables = {name: _nested(getattr(self, name)) for name in _shapes(0, 0)}
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": _KIND,
            "languages": list(self.languages),
            "n_layers": self.n_layers,
            "n_features": self.n_features,
            "settings": {
                "skip_positions": self.skip_positions,
                "seed": self.seed,
                "n_boot": self.n_boot,
            },
            "info": self.info,
            "tables": tables,
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text, one line per table; with ``path``, also written there."""

        def dump(value: Any, indent: int | None = None) -> str:
            return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)

        content = self.to_dict()
        tables = ",\n  ".join(f"{dump(k)}: {dump(v)}" for k, v in content.pop("tables").items())
        head = dump(content, 1).removesuffix("}").rstrip()
        text = f'{head},\n "tables": {{\n  {tables}\n }}\n}}\n'
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TranscoderScores:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, or tables of wrong shapes.
        """
        check_schema(data, _KIND, SCHEMA_VERSION, _AGAIN)
        with damage_refused("the transcoder's scores", _AGAIN):
            languages = texts_of("languages", data["languages"])
            layers = whole_number("n_layers", data["n_layers"])
            settings, tables = data["settings"], data["tables"]
            values: dict[str, Any] = {
                name: (number_table if kind is float else count_table)(name, tables[name], shape)
                for name, (kind, shape) in _shapes(len(languages) + 1, layers).items()
            }
            return cls(
                languages=languages,
                n_features=whole_number("n_features", data["n_features"]),
                skip_positions=whole_number("skip_positions", settings["skip_positions"], least=0),
                seed=whole_number("seed", settings["seed"], least=0),
                n_boot=whole_number("n_boot", settings["n_boot"]),
                info=dict(object_of("info", data["info"])),
                **values,
            )

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> TranscoderScores:
        """Read what `to_json` gave: its text, its file, or the folder of ``metrics.json``.

        Raises
        ------
        ValueError
            As `from_dict`; it names the file.
        """
        return read_result(source, SCORES_FILE, "a transcoder's scores", cls.from_dict)


def recovered(model: Floats, replacement: Floats, ablation: Floats) -> Floats:
    """(ablation - replacement) / (ablation - model); NaN where ablation does no harm."""
    gap = np.asarray(ablation - model)
    harms = gap > _NO_GAP * np.maximum(1, np.abs(model))
    return np.where(harms, (ablation - replacement) / np.where(harms, gap, 1), np.nan)


def _shapes(groups: int, layers: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    outputs = layers + 1
    counts = ("n_windows", "n_documents", "n_tokens", "n_predictions")
    by_output = ("ce_replacement", "ce_zero", "ce_mean", "kl", "top1_agreement")
    intervals = ("kl_interval", "recovered_zero_interval", "recovered_mean_interval")
    return {
        **{name: (int, (groups,)) for name in counts},
        **{n: (float, (groups, layers)) for n in ("explained_variance", "l0", "dead_share")},
        "density_histogram": (int, (layers, len(DENSITY_EDGES) - 1)),
        **{name: (int, (layers,)) for name in ("above_tenth", "above_half")},
        "ce_model": (float, (groups,)),
        **{name: (float, (groups, outputs)) for name in by_output},
        "explained_variance_interval": (float, (groups, layers, 2)),
        **{name: (float, (groups, outputs, 2)) for name in intervals},
    }


def _nested(values: NDArray[Any]) -> Any:
    if values.dtype.kind == "f":
        values = values.astype(object)
        values[values != values] = None  # NaN
    return values.tolist()
