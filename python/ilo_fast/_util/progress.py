"""A progress bar on standard error, for work that reports its finished share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def share_bar(show: bool, description: str) -> Iterator[Callable[[float], None] | None]:
    """A callable that takes the finished share (0 to 1); None where `show` is False."""
    if not show:
        yield None
        return
    from tqdm.auto import tqdm

    # Short work shows no bar: it would only flicker.
    with tqdm(
        total=100.0,
        desc=description,
        delay=1.0,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
    ) as bar:

        def update(share: float) -> None:
            bar.update(100.0 * share - bar.n)  # may go back: the total is an estimate

        yield update
        update(1.0)
