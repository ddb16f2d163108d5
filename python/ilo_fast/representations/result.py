"""Sentence representations of all layers of a model, for all languages of a corpus."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.arrays import DamagedFileError, read_array, write_array
from ilo_fast._util.checks import path_of
from ilo_fast._util.equality import same_fields
from ilo_fast._util.files import read_json, write_json
from ilo_fast.corpora.checks import check_code
from ilo_fast.corpora.documents import check_groups

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
KIND = "ilo_fast.representations"

# What makes two results comparable number by number.
_SHAPE = ("languages", "layers", "parallel", "n_sentences", "groups")


class Representations(Mapping[str, NDArray[np.float32]]):
    """Pooled hidden states: ``reps["eng_Latn"]`` is an array (layers, sentences, dim), float32.

    Arrays are read-only, and memory-mapped where they come from disk: one layer of one language is
    one contiguous read.

    Parameters
    ----------
    arrays
        One array (layers, sentences, dim) per language.
    layers
        The hidden state at each first index: 0 is the embedding output, n the output of block n;
        the last is taken after the final norm.
    parallel
        Whether line i means the same in all languages.
    groups
        Of parallel text: the document of each sentence, one string per sentence; None where it is
        not known. Intervals of scores draw documents anew.
    info
        Where this came from, JSON-able.

    Raises
    ------
    ValueError
        Arrays that do not fit each other or `layers`, a language code that cannot name a file,
        groups that do not fit the sentences.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[np.float32]],
        layers: Sequence[int],
        *,
        parallel: bool = False,
        groups: Sequence[str] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        if not arrays:
            raise ValueError("arrays is empty: representations need at least one language")
        self._arrays = dict(arrays)
        self.layers = tuple(int(layer) for layer in layers)
        self.parallel = bool(parallel)
        self.info: dict[str, Any] = dict(info or {})
        first = next(iter(self._arrays.values()))
        for code, array in self._arrays.items():
            check_code(code)
            if array.ndim != 3 or array.shape[0] != len(self.layers):
                raise ValueError(
                    f"arrays[{code!r}]: expected shape ({len(self.layers)} layers, sentences, "
                    f"dim), got {array.shape}; pass one layer number for each first index"
                )
            if array.shape[2] != first.shape[2]:
                raise ValueError(
                    f"arrays: {code} has {array.shape[2]} dimensions, {self.languages[0]} has "
                    f"{first.shape[2]}; all languages must come from one model"
                )
            if self.parallel and array.shape[1] != first.shape[1]:
                raise ValueError(
                    f"parallel=True, but {code} has {array.shape[1]} sentences and "
                    f"{self.languages[0]} has {first.shape[1]}; pass parallel=False"
                )
        if groups is not None and not self.parallel:
            raise ValueError("groups are of sentences that all languages share: parallel=True")
        self.groups = None if groups is None else check_groups(groups, self.n_sentences[0])

    @property
    def languages(self) -> tuple[str, ...]:
        """The language codes, in the order of the corpus."""
        return tuple(self._arrays)

    @property
    def dim(self) -> int:
        """Length of a representation."""
        return int(next(iter(self._arrays.values())).shape[2])

    @property
    def n_sentences(self) -> tuple[int, ...]:
        """Sentences of each language, in the order of `languages`."""
        return tuple(int(array.shape[1]) for array in self._arrays.values())

    def __getitem__(self, code: str) -> NDArray[np.float32]:
        try:
            return self._arrays[code]
        except KeyError:
            raise KeyError(
                f"{code!r} is not among the {len(self)} languages: {', '.join(self.languages)}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __eq__(self, other: object) -> bool:
        """Whether the values are the same, and what they are of; `info` may differ."""
        return (
            isinstance(other, Representations)
            and same_fields(self, other, _SHAPE)
            and all(np.array_equal(values, other[code]) for code, values in self.items())
        )

    def __hash__(self) -> int:
        return hash((self.languages, self.layers, self.parallel, self.n_sentences, self.dim))

    def __repr__(self) -> str:
        counts = sorted(set(self.n_sentences))
        sentences = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        model = self.info.get("model")
        return (
            f"<Representations: {len(self)} languages x {len(self.layers)} layers x {sentences} "
            f"sentences x {self.dim} dimensions{', parallel' if self.parallel else ''}"
            f"{f', of {model}' if model else ''}>"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a folder: ``manifest.json`` and one ``<code>.npy`` per language.

        The manifest is written last and holds a checksum of every file, so that :meth:`load`
        recognises an interrupted save.

        Raises
        ------
        OSError
            The disk is full; names the path and the bytes needed.
        TypeError, ValueError
            `path` cannot name a folder.
        """
        folder = path_of("path", path)
        folder.mkdir(parents=True, exist_ok=True)
        manifest_path = folder / MANIFEST
        manifest_path.unlink(missing_ok=True)
        files = {}
        for code, array in self._arrays.items():
            name = f"{code}.npy"
            shape = (int(array.shape[0]), int(array.shape[1]), int(array.shape[2]))
            sha256 = write_array(folder / name, shape, lambda i, array=array: array[i])  # type: ignore[misc]
            files[code] = {"file": name, "shape": list(shape), "sha256": sha256}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "layers": list(self.layers),
            "parallel": self.parallel,
            "groups": self.groups,
            "languages": files,
            "info": self.info,
        }
        write_json(manifest_path, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: bool = True) -> Representations:
        """Open a folder that :meth:`save` wrote, after checking every byte.

        Parameters
        ----------
        mmap
            Leave the arrays on disk and map them (default), or read them into memory.

        Raises
        ------
        FileNotFoundError
            There is no such folder, or it has no manifest.
        DamagedFileError
            A file is missing, truncated or altered; names it.
        """
        folder = path_of("path", path)
        manifest_path = folder / MANIFEST
        if not manifest_path.is_file():
            raise FileNotFoundError(
                f"{folder} holds no representations: it has no manifest.json (save() writes it "
                "last, so an interrupted save leaves none)"
            )
        manifest = read_json(manifest_path)
        if manifest is None or manifest.get("kind") != KIND:
            raise DamagedFileError(
                f"{manifest_path} is damaged, or not written by save(): extract again"
            )
        if manifest.get("schema_version") != SCHEMA_VERSION:
            raise DamagedFileError(
                f"{manifest_path} has schema version {manifest.get('schema_version')}, this "
                f"ilo_fast reads {SCHEMA_VERSION}: extract again"
            )
        try:
            _check_manifest(manifest)
            arrays = {
                str(code): read_array(
                    folder / Path(entry["file"]).name, entry["shape"], entry["sha256"], mmap=mmap
                )
                for code, entry in manifest["languages"].items()
            }
            return cls(
                arrays,
                manifest["layers"],
                parallel=manifest["parallel"],
                groups=manifest.get("groups"),  # older manifests have none
                info=manifest["info"],
            )
        except DamagedFileError:
            raise
        except KeyError as error:
            raise DamagedFileError(f"{manifest_path} is damaged: it lacks {error}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise DamagedFileError(f"{manifest_path} is damaged: {error}") from error


def _check_manifest(manifest: Mapping[str, Any]) -> None:
    """Refuse values that no extraction gives, whatever wrote them."""
    layers = manifest["layers"]
    if not isinstance(layers, list) or not all(type(h) is int and h >= 0 for h in layers):
        raise ValueError(f"layers={str(layers)[:80]}, wanted whole numbers from 0")
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers={str(layers)[:80]}, wanted each once")
    if not isinstance(manifest.get("groups"), list | None):
        raise ValueError(f"groups={str(manifest['groups'])[:80]}, wanted one id per sentence")
    if not isinstance(manifest["parallel"], bool) or not isinstance(manifest["info"], dict):
        raise ValueError("parallel is no truth value, or info no mapping")
    for code in manifest["languages"]:
        check_code(code)
