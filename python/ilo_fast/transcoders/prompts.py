"""Prompts as token ids, as transcoders want them, and as a terminal shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ilo_fast._util.checks import whole_number
from ilo_fast._util.messages import counted, plain
from ilo_fast.models.limits import depends_on_longest, position_limit
from ilo_fast.report.columns import columns
from ilo_fast.transcoders.replacement import ReplacementModel

Prompt = str | Sequence[int]

DEMO_PROMPT: Final = "In the beginning was the Word, and the Word was with God, and the"
"""For the embedded model, whose text is the New Testament in its better part."""

_WIDTH: Final = 96


def prompt_ids(
    name: str, prompt: Prompt, tokenizer: Any, replacement: ReplacementModel, *, room: int = 0
) -> list[int]:
    """The tokens of a prompt: its BOS token, where the tokenizer puts one there, and no end token.

    Parameters
    ----------
    name
        Of the argument, for errors.
    prompt
        A text, or token ids.
    tokenizer
        Needed for a text.
    room
        So many tokens more are to go behind it.

    Raises
    ------
    TypeError
        It is neither a text nor token ids.
    ValueError
        It has no position that the transcoder does not skip, too many, or an unknown token.
    """
    if isinstance(prompt, str):
        if tokenizer is None:
            raise ValueError(f"{name} is text: pass a tokenizer, or token ids")
        half = re.search("[\ud800-\udfff]", prompt)
        if half:
            raise ValueError(
                f"{name} has {half[0]!a} at character {half.start()}, which is half of one: it was "
                "read with another encoding than it is in; pass it as UTF-8"
            )
        found = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        usual = list(tokenizer(prompt)["input_ids"])
        bos = tokenizer.bos_token_id
        if bos is not None and usual[:1] == [bos] and found[:1] != [bos]:
            found = [bos, *found]
    else:
        if isinstance(prompt, (bytes, Mapping)) or not hasattr(prompt, "__iter__"):
            raise TypeError(
                f"{name} must be a text or a list of token ids, got {type(prompt).__name__}"
            )
        found = [whole_number(f"{name}: token", token, least=0) for token in prompt]
    skip = replacement.skip_positions
    if len(found) < skip + 1:
        raise ValueError(
            f"{name} has {counted(len(found), 'token')}, of which the first {skip} are skipped: "
            f"pass at least {skip + 1}"
        )
    vocabulary = replacement.parts.vocabulary
    if vocabulary is not None and max(found) >= vocabulary:
        raise ValueError(f"{name} has token {max(found)}: the model knows 0 to {vocabulary - 1}")
    limit = position_limit(replacement.parts.backbone, getattr(replacement.model, "config", None))
    if limit is not None and len(found) + room > limit:
        more = f" and {room} are to follow" if room else ""
        raise ValueError(
            f"{name} has {len(found)} tokens{more}, the model takes {limit}: shorten it"
        )
    return found


def prompt_batches(
    lengths: Sequence[int], most: int, config: Any, *, longer: float = math.inf
) -> list[list[int]]:
    """Prompts of like lengths, which go together; the longest of each batch is last.

    Parameters
    ----------
    most
        Tokens of a batch, the shorter prompts filled up.
    config
        Of the model: where the longest prompt matters to the others, lengths are equal.
    longer
        So many times as long as the shortest, and a token, is the longest at most.
    """
    alike = depends_on_longest(config)
    batches: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda at: lengths[at]):
        shortest = lengths[batches[-1][0]] if batches else 0
        if (
            not batches
            or (len(batches[-1]) + 1) * lengths[at] > most
            or lengths[at] > (shortest if alike else longer * shortest + 1)
        ):
            batches.append([])
        batches[-1].append(at)
    return batches


def prompt_lines(tokens: Sequence[str]) -> str:
    """The tokens of a prompt and their positions, for the terminal."""
    lines: list[str] = []
    for at, token in enumerate(tokens):
        item = f"{at} {shown_token(token)}"
        if lines and columns(lines[-1]) + columns(item) + 5 <= _WIDTH:
            lines[-1] += f" · {item}"
        else:
            lines.append(item)
    return "\n".join(["Prompt", *(f"  {line}" for line in lines)])


def shown_token(text: str) -> str:
    """A token in a terminal."""
    return plain(text) or repr(text)
