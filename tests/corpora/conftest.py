"""A Hub of in-memory data sets, laid out as the real ones are."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """What datasets.load_dataset finds: (id, config) -> split -> columns, or an exception."""
    datasets = pytest.importorskip("datasets")
    served: dict[Any, Any] = {}
    calls: list[tuple[str, str | None, str, str | None]] = []

    def load_dataset(
        path: str, name: str | None = None, *, split: str, revision: Any = None
    ) -> Any:
        calls.append((path, name, split, revision))
        if (path, name) not in served:
            raise ValueError(f"BuilderConfig '{name}' not found. Available: ['default']")
        found = served[path, name]
        if isinstance(found, Exception):
            raise found
        if split not in found:
            raise ValueError(f'Unknown split "{split}". Should be one of {list(found)}.')
        content = found[split]
        return datasets.Dataset.from_dict(content) if isinstance(content, dict) else content

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    served["calls"] = calls
    return served
