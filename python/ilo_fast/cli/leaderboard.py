"""The files that show all results of a folder: written by one process at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.files import write_text
from ilo_fast._util.locks import acquire
from ilo_fast.cli.output import write_page

LEADERBOARD_FILES: Final = ("leaderboard.csv", "leaderboard.md", "leaderboard.html")


def write_leaderboard(
    folder: Path, failures: Sequence[Mapping[str, Any]], *, drawn: bool = True
) -> list[Path]:
    """Write the tables, and where ``drawn`` the page, of what the folder holds now."""
    from ilo_fast.report.files import REPORT_FILE
    from ilo_fast.report.leaderboard.folder import STATE, find_results, result_path
    from ilo_fast.report.leaderboard.table import leaderboard_csv, leaderboard_markdown

    (folder / STATE).mkdir(parents=True, exist_ok=True)
    lock = acquire(folder / STATE / "leaderboard.lock", wait=True)
    assert lock is not None  # it was waited for
    try:
        found = find_results(folder)
        if not found and not failures:
            return []
        table, markdown, page = (folder / name for name in LEADERBOARD_FILES)
        written = []
        if found:
            write_text(table, leaderboard_csv(found))
            write_text(markdown, leaderboard_markdown(found))
            written = [table, markdown]
        if not drawn:
            return written

        def make() -> str:
            from ilo_fast.report.leaderboard.page import leaderboard_page

            places = (
                result_path(Path(), one.model, one.revision, one.experiment, one.corpus)
                for one in found
            )
            reports = {at: place.with_suffix("") / REPORT_FILE for at, place in enumerate(places)}
            pages = {
                at: path.as_posix() for at, path in reports.items() if (folder / path).is_file()
            }
            return leaderboard_page(found, failures, pages=pages, title=folder.resolve().name)

        return [*written, *write_page(page, make)]
    finally:
        lock.release()
