"""The page and the pictures, of pieces that are planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import planted
from multilingual_clt.figures import FIGURES, write_figures
from multilingual_clt.findings import findings
from multilingual_clt.plan import Plan
from multilingual_clt.report import markdown
from multilingual_clt.tables import NONE_YET

PLAN = Plan(languages=planted.CODES, conditions=("equal", "random"))
ABOUT = {"command": "c", "verses": 1, "chapters": 1, "measured": 1, "seconds": 3600.0}


def pieces() -> dict[str, Any]:
    random = np.random.default_rng(0)
    found: dict[str, Any] = {"vocabularies": planted.vocabularies()}
    for seed in PLAN.seeds:
        for name in PLAN.conditions:
            found[f"loss-{name}-{seed}-model"] = planted.loss(random, 2.0)
            found[f"probes-{name}-{seed}-clt"] = planted.probes()
            for kind in ("clt", "plt"):
                found[f"space-{name}-{seed}-{kind}"] = planted.space(random, [0.1] * 6)
                found[f"languages-{name}-{seed}-{kind}"] = planted.languages(
                    [0.1] * 6, [0.9, 0.8, 0.95]
                )
        found[f"script-equal-{seed}-clt"] = planted.script()
        found[f"ablation-equal-{seed}-clt"] = planted.ablation()
        found[f"steering-equal-{seed}-clt"] = planted.steered(random, 0.5)
        found[f"diff-full-reused-{seed}"] = planted.diff()
    return found


def test_every_section_of_the_page_has_its_numbers() -> None:
    found = pieces()
    page = markdown(PLAN, found.get, findings(PLAN, found.get), ABOUT)
    assert NONE_YET not in page
    for line in (
        "| equal | 0 | 0 | 10 | 2 | 7 | 1 | +0.200 [+0.100, +0.400] |",
        "| equal | 1 | clt | +0.50 [-0.25, +1.00] | +0.50 [-0.25, +1.00] | +0.50 [-0.25, +1.00] |",
        "| 0 | clt | deu_Latn | 3 | +0.500 [+0.100, +0.900] | +0.000 | +0.010 | 0.020 | 0.500 "
        "| 0.030 |",
        "| full, reused | 0 | died | 3 | 90 | 0.010 | +0.020 [+0.010, +0.030] |",
    ):
        assert line in page
    assert markdown(PLAN, {}.get, [], ABOUT).count(NONE_YET) == 8


def test_every_picture_is_drawn_and_none_of_nothing(tmp_path: Path) -> None:
    assert {path.stem for path in write_figures(PLAN, pieces().get, tmp_path)} == set(FIGURES)
    assert write_figures(PLAN, {}.get, tmp_path / "none") == []
