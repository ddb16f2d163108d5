"""A bar on standard error for work that reports the finished share of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def share_bar(show: bool, description: str) -> Iterator[Callable[[float], None] | None]:
    """Give a callable that takes the finished share (0 to 1), or None if nothing is to be shown."""
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
            bar.update(100.0 * share - bar.n)  # backwards where there is more to do than thought

        yield update
        update(1.0)
