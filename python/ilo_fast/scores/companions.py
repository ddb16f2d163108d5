"""Scores that are read beside ILO: all of them, layer by layer, in one call."""

from __future__ import annotations

from ilo_fast.scores.companions_result import Companion as Companion
from ilo_fast.scores.companions_result import Companions as Companions
from ilo_fast.scores.companions_result import DirectionsRemoved as DirectionsRemoved
