"""What the generic shrinking of a configuration gets wrong, by model type."""

from __future__ import annotations

from typing import Any

OVERRIDES: dict[str, dict[str, Any]] = {}
