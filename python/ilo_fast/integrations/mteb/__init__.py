"""Overlap as a task of MTEB, and any layer of a model as its encoder (needs ``ilo_fast[mteb]``)."""

from __future__ import annotations

from ilo_fast._util.optional import require

require("mteb", "mteb", at_least="2.26", below="3")

from ilo_fast.integrations.mteb.bitext import bitext_corpus as bitext_corpus  # noqa: E402
from ilo_fast.integrations.mteb.encoder import LayerEncoder as LayerEncoder  # noqa: E402
from ilo_fast.integrations.mteb.task import OverlapTask as OverlapTask  # noqa: E402
from ilo_fast.integrations.mteb.task import overlap_task as overlap_task  # noqa: E402

__all__ = ["LayerEncoder", "OverlapTask", "bitext_corpus", "overlap_task"]
