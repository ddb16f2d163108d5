"""Read parallel text from the Hugging Face Hub.

Three layouts of a data set can be read: one column per language, one configuration per language,
one row per language and sentence. The caller says which; nothing is guessed. ``datasets`` is
imported only when something is loaded.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ilo_fast.corpora.documents import agreed
from ilo_fast.corpora.tables import document_column
from ilo_fast.errors import AccessError, CorpusError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubSource:
    """A data set and its layout.

    Parameters
    ----------
    dataset_id
        ``owner/name``.
    split
        Name of the split.
    columns
        Language code -> column, where one row has all languages.
    configs
        Language code -> configuration (subset), where each language has its own.
    language_column
        The column that names the language, where one row has one language. Several columns are
        joined with ``_``: ``("iso_639_3", "iso_15924")``.
    language_values
        With `language_column`: language code -> value in that column; only these are taken.
        None: every value is a language code.
    text_column
        Column of the sentences, with `configs` or `language_column`.
    id_column
        Column with equal values for translations, with `configs` or `language_column`. Rows are
        aligned by it, in the order of the first language. None: rows are aligned by position.
    config
        Configuration to load, with `columns` or `language_column`.
    revision
        Branch, tag or commit.
    skip_missing
        Leave out languages without a column, configuration or split, and log them, instead of
        raising an error.

    Raises
    ------
    CorpusError
        Arguments that do not go together.
    """

    dataset_id: str
    split: str
    columns: Mapping[str, str] | None = None
    configs: Mapping[str, str] | None = None
    language_column: str | Sequence[str] | None = None
    language_values: Mapping[str, str] | None = None
    text_column: str | None = None
    id_column: str | None = None
    config: str | None = None
    revision: str | None = None
    skip_missing: bool = False

    def __post_init__(self) -> None:
        layouts = {
            "columns": self.columns,
            "configs": self.configs,
            "language_column": self.language_column,
        }
        given = [name for name, value in layouts.items() if value is not None]
        if len(given) != 1:
            raise CorpusError(
                f"{self.dataset_id}: wanted exactly one of columns, configs and language_column, "
                f"got {' and '.join(given) or 'none'}"
            )
        layout = given[0]
        if not layouts[layout]:
            raise CorpusError(f"{layout} is empty; name at least one language")
        # What else can be said, and the layouts that it has a meaning with.
        others = {
            "text_column": (self.text_column, ("configs", "language_column")),
            "id_column": (self.id_column, ("configs", "language_column")),
            "config": (self.config, ("columns", "language_column")),
            "language_values": (self.language_values, ("language_column",)),
        }
        for name, (value, fitting) in others.items():
            if value is not None and layout not in fitting:
                raise CorpusError(f"{name} has no meaning with {layout}; leave it out")
        if layout != "columns" and self.text_column is None:
            raise CorpusError(f"{layout} needs text_column, the column that holds the sentences")


class _NotThereError(CorpusError):
    """The data set lacks a configuration or a split."""


@dataclass
class _Text:
    """One language as read: sentences, and where the data set has them their ids and documents."""

    lines: list[Any]
    ids: list[Any] | None
    documents: list[Any] | None


def read_hub(
    source: HubSource, *, progress: bool = False
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...] | None, dict[str, Any]]:
    """Load the text of a source; with `progress`, a bar where there are many downloads.

    Returns
    -------
    sentences
        Code -> sentences, aligned by id where the source names an id column. `ParallelCorpus`
        checks whether they are parallel.
    groups
        The document of each sentence, where the data set has a column ``document``, ``group`` or
        ``url``.
    info
        Where they come from, JSON-able: ``kind``, ``dataset``, ``split``, ``revision`` (as asked
        for), ``commit`` (as loaded, None where unknown), ``skipped_languages``,
        ``documents_from`` (the data set).

    Raises
    ------
    AccessError
        ``datasets`` is not installed; the data set cannot be reached.
    CorpusError
        The layout does not fit the data set.
    """
    skipped: list[str] = []
    if source.columns is not None:
        dataset = _load(source, source.config)
        commits = {_commit(dataset)}
        texts = _read_columns(source, source.columns, dataset, skipped)
    elif source.configs is not None:
        texts, commits = _read_configs(source, source.configs, skipped, progress)
    else:
        dataset = _load(source, source.config)
        commits = {_commit(dataset)}
        texts = _read_rows(source, dataset)
    if skipped:
        logger.info("%s has no %s text for %s", source.dataset_id, source.split, ", ".join(skipped))
    aligned = _align(source, texts)
    cells = {code: text.documents for code, text in aligned.items() if text.documents is not None}
    groups = agreed(cells, source.dataset_id) if cells else None
    info = {
        "kind": "hub",
        "dataset": source.dataset_id,
        "split": source.split,
        "revision": source.revision,
        # The data set may change between the downloads of two configurations.
        "commit": commits.pop() if len(commits) == 1 else None,
        "skipped_languages": skipped,
        "documents_from": None if groups is None else source.dataset_id,
    }
    return {code: tuple(text.lines) for code, text in aligned.items()}, groups, info


def _load(source: HubSource, config: str | None) -> Any:
    try:
        import datasets
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise AccessError(
            f"loading {source.dataset_id!r} needs the package 'datasets' (>= 4), which is not "
            "installed: pip install 'datasets>=4' (or 'ilo_fast[data]'). Or put the text into a "
            "folder, one <code>.txt per language, and pass its path"
        ) from error
    try:
        return datasets.load_dataset(
            source.dataset_id, config, split=source.split, revision=source.revision
        )
    # A gated data set appears as a file not found. Other OSErrors (a full disk, a cache that cannot
    # be written) have nothing to do with access, and pass.
    except (ConnectionError, FileNotFoundError, HfHubHTTPError) as error:
        raise _no_access(source, error) from error
    except ValueError as error:
        if "Couldn't find cache for" in str(error):  # offline, with only another part in the cache
            raise _no_access(source, error) from error
        said = " ".join(str(error).split())
        if any(sign in said for sign in ("BuilderConfig", "Config name", "split")):
            what = f"configuration {config!r}, " if config else ""
            raise _NotThereError(
                f"{source.dataset_id}: cannot load {what}split {source.split!r}: {said}"
            ) from error
        raise
    except RuntimeError as error:
        if "scripts are no longer supported" in str(error):
            raise AccessError(
                f"data set {source.dataset_id!r} is a loading script, which datasets >= 4 does "
                "not run: name a revision that has data files (often "
                "revision='refs/convert/parquet'), or another copy of the data"
            ) from error
        raise


def _no_access(source: HubSource, error: Exception) -> AccessError:
    name = source.dataset_id
    said = " ".join(str(error).split())
    folder = "Or put the text into a folder, one <code>.txt per language, and pass its path."
    offline = isinstance(error, ConnectionError) or any(
        sign in said for sign in ("OfflineMode", "Couldn't reach", "find cache for")
    )
    if offline:
        return AccessError(
            f"data set {name!r} cannot be reached (offline?) and is not in the local cache: "
            "connect, unset HF_HUB_OFFLINE and HF_DATASETS_OFFLINE, and load it once; later runs "
            f"read the cache. {folder} The library said: {said}"
        )
    return AccessError(
        f"data set {name!r} is gated, private or absent: sign in at huggingface.co, accept its "
        f"terms at https://huggingface.co/datasets/{name}, run 'hf auth login' (or set HF_TOKEN) "
        f"and try again. {folder} The library said: {said}"
    )


def _commit(dataset: Any) -> str | None:
    """The commit that was loaded: `datasets` has it in the paths of its cache."""
    for file in dataset.cache_files:
        match = re.search(r"[/\\]([0-9a-f]{40})[/\\]", file["filename"])
        if match:
            return match[1]
    return None


def _take(dataset: Any, columns: Iterable[str]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(columns))
    taken: dict[str, list[Any]] = dataset.select_columns(names).with_format(None)[:]
    return taken


def _require(source: HubSource, dataset: Any, columns: Iterable[str]) -> None:
    missing = [column for column in columns if column not in dataset.column_names]
    if missing:
        raise CorpusError(
            f"{source.dataset_id} has no column {', '.join(missing)}; "
            f"it has {', '.join(dataset.column_names)}"
        )


def _read_columns(
    source: HubSource, columns: Mapping[str, str], dataset: Any, skipped: list[str]
) -> dict[str, _Text]:
    if source.skip_missing:
        present = {c: column for c, column in columns.items() if column in dataset.column_names}
        skipped.extend(code for code in columns if code not in present)
        columns = present or columns
    _require(source, dataset, columns.values())
    of = _documents(dataset)
    taken = _take(dataset, [*columns.values(), *of])
    documents = taken[of[0]] if of else None
    return {code: _Text(taken[column], None, documents) for code, column in columns.items()}


def _read_configs(
    source: HubSource, configs: Mapping[str, str], skipped: list[str], progress: bool
) -> tuple[dict[str, _Text], set[str | None]]:
    from tqdm import tqdm

    assert source.text_column is not None  # HubSource checks it
    wanted = [column for column in (source.text_column, source.id_column) if column]
    texts: dict[str, _Text] = {}
    commits: set[str | None] = set()
    # Each is a download the first time, so show a bar where it takes long.
    bar = tqdm(
        configs.items(), desc=source.dataset_id, unit="language", delay=2, disable=not progress
    )
    for code, config in bar:
        try:
            dataset = _load(source, config)
        except _NotThereError:
            if not source.skip_missing:
                raise
            skipped.append(code)
            continue
        _require(source, dataset, wanted)
        of = _documents(dataset)
        taken = _take(dataset, [*wanted, *of])
        ids = taken[source.id_column] if source.id_column else None
        texts[code] = _Text(taken[source.text_column], ids, taken[of[0]] if of else None)
        commits.add(_commit(dataset))
    if not texts:
        raise CorpusError(
            f"{source.dataset_id}: none of {len(configs)} configurations has a split "
            f"{source.split!r}"
        )
    return texts, commits


def _read_rows(source: HubSource, dataset: Any) -> dict[str, _Text]:
    assert source.language_column is not None and source.text_column is not None
    keys = source.language_column
    parts = [keys] if isinstance(keys, str) else list(keys)
    wanted = [*parts, source.text_column, *([source.id_column] if source.id_column else [])]
    _require(source, dataset, wanted)
    of = _documents(dataset)
    taken = _take(dataset, [*wanted, *of])
    ids = taken[source.id_column] if source.id_column else None
    by_value: dict[str, _Text] = {}
    for row, line in enumerate(taken[source.text_column]):
        value = "_".join(str(taken[part][row]) for part in parts)
        new = _Text([], None if ids is None else [], [] if of else None)
        text = by_value.setdefault(value, new)
        text.lines.append(line)
        if ids is not None and text.ids is not None:
            text.ids.append(ids[row])
        if text.documents is not None:
            text.documents.append(taken[of[0]][row])
    if source.language_values is None:
        return by_value
    missing = [
        f"{code} ({value!r})"
        for code, value in source.language_values.items()
        if value not in by_value
    ]
    if missing:
        raise CorpusError(
            f"language_values: {source.dataset_id} has no rows for {', '.join(missing)}; "
            f"{' + '.join(parts)} holds {', '.join(sorted(by_value))}"
        )
    return {code: by_value[value] for code, value in source.language_values.items()}


def _documents(dataset: Any) -> list[str]:
    """The column of documents, if there is one."""
    column = document_column(dataset.column_names)
    return [] if column is None else [column]


def _align(source: HubSource, texts: dict[str, _Text]) -> dict[str, _Text]:
    """The sentences, and their documents, in the order of the ids of the first language."""
    if source.id_column is None:
        return texts
    by_id: dict[str, dict[Any, int]] = {}
    for code, text in texts.items():
        ids = text.ids or []
        by_id[code] = {key: row for row, key in enumerate(ids)}
        if len(by_id[code]) < len(ids):
            again = next(key for n, key in enumerate(ids) if key in ids[:n])
            raise CorpusError(
                f"{source.dataset_id}: {source.id_column}={again!r} occurs more than once for "
                f"{code}; are these several varieties? Name the column that tells them apart in "
                "language_column"
            )
    first = next(iter(by_id))
    for code, rows in by_id.items():
        if rows.keys() != by_id[first].keys():
            odd = sorted(map(str, rows.keys() ^ by_id[first].keys()))[:5]
            raise CorpusError(
                f"{source.dataset_id}: {code} has {len(rows)} sentences and {first} "
                f"{len(by_id[first])}, and their {source.id_column} differ (among others: "
                f"{', '.join(odd)}); leave one of the two out"
            )
    found = {}
    for code, text in texts.items():
        order = [by_id[code][key] for key in by_id[first]]
        documents = None if text.documents is None else [text.documents[row] for row in order]
        found[code] = _Text([text.lines[row] for row in order], list(by_id[first]), documents)
    return found
