"""Train a tokenizer on many languages: byte-level BPE on as many lines of each."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.files import replace_folder
from ilo_fast.errors import AccessError
from ilo_fast.models.access import access_errors
from ilo_fast.training.checkpoint_mark import damage, mark_complete

logger = logging.getLogger(__name__)

PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"
_SPECIAL = [PAD, BOS, EOS, UNK]  # ids 0, 1, 2, 3
SMALLEST = 256 + len(_SPECIAL)

# One of them is in every folder that AutoTokenizer loads (config.json: beside a vocabulary).
_TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json", "config.json")

# Letters keep their combining marks (Indic vowel signs are \p{M}, not \p{L}): the pattern of GPT-2
# would cut every Hindi, Bengali and Telugu word at each of them. Chinese and Japanese runs come
# first, so that no space sticks to them.
_WORD = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー]+| ?[\p{L}\p{M}]+| ?\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+|\s+"
)


def sample_lines(texts: Mapping[str, Sequence[str]], n_lines: int, *, seed: int) -> list[str]:
    """`n_lines` lines of every language, drawn without repetition.

    A language that has fewer gives them over and over, so that all weigh the same.
    """
    rng = np.random.default_rng(seed)
    sample: list[str] = []
    for lines in texts.values():
        order = rng.permutation(len(lines))
        sample.extend(lines[int(i)] for i in np.resize(order, n_lines))
    return sample


def train_tokenizer(lines: Iterable[str], *, vocab_size: int, lowercase: bool = False) -> Any:
    """Train a byte-level BPE.

    A space is put before the first word, so that a word has one token wherever it stands;
    ``<s>`` before every text; ``<pad>``, ``<s>``, ``</s>``, ``<unk>`` are tokens 0 to 3. Text is
    brought to Unicode form NFC; every other character comes back when tokens are decoded.

    Parameters
    ----------
    lines
        The text.
    vocab_size
        Tokens, at least 260: one for each byte and the special ones. Little text gives fewer.
    lowercase
        Make one of upper and lower case (decoding then gives lower case).

    Returns
    -------
    tokenizers.Tokenizer

    Raises
    ------
    ValueError
        `vocab_size` below 260.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from tokenizers.trainers import BpeTrainer

    if vocab_size < SMALLEST:
        raise ValueError(
            f"vocab_size={vocab_size}: at least {SMALLEST} are needed, one token for each byte "
            f"and {len(_SPECIAL)} special ones"
        )
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    case = [normalizers.Lowercase()] if lowercase else []
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), *case, normalizers.Prepend(" ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, 1)]
    )
    if tokenizer.get_vocab_size() < vocab_size:
        logger.warning(
            "vocab_size=%d: the text gave no more than %d tokens",
            vocab_size, tokenizer.get_vocab_size(),
        )  # fmt: skip
    return tokenizer


def as_pretrained(tokenizer: Any, *, max_length: int) -> Any:
    """As the transformers class that ``AutoTokenizer`` loads where it was saved."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNK,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def open_tokenizer(tokenizer: Any) -> Any:
    """A tokenizer by name or folder loaded; another, or None, as it is.

    Raises
    ------
    AccessError
        There is none of that name, or it cannot be reached.
    """
    if not isinstance(tokenizer, (str, os.PathLike)):
        return tokenizer
    from transformers import AutoTokenizer

    name = os.fspath(tokenizer)
    folder = Path(name).expanduser()
    if folder.is_dir() and not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        raise AccessError(
            f"tokenizer: the folder {name!r} holds no tokenizer; wanted one that save_pretrained() "
            "wrote, with tokenizer.json or tokenizer_config.json"
        )
    with access_errors(name, "tokenizer"):
        return AutoTokenizer.from_pretrained(str(folder) if folder.is_dir() else name)


def tokenizer_in(
    folder: Path,
    texts: Mapping[str, Sequence[str]],
    *,
    vocab_size: int,
    n_lines: int,
    max_length: int,
    seed: int,
) -> Any:
    """The tokenizer in a folder; trained and put there where none is yet, or a damaged one."""
    problem = damage(folder) if folder.is_dir() else "absent"
    if problem is not None:
        if folder.is_dir():
            logger.warning("%s is damaged (%s): the tokenizer is trained again", folder, problem)
        logger.info("training a tokenizer of %d tokens on %d languages", vocab_size, len(texts))
        core = train_tokenizer(sample_lines(texts, n_lines, seed=seed), vocab_size=vocab_size)
        with replace_folder(folder) as new:
            as_pretrained(core, max_length=max_length).save_pretrained(new)
            mark_complete(new, 0.0)
    return open_tokenizer(folder)


def encode_lines(
    tokenizer: Any, lines: Sequence[str]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Tokens of all lines, one after the other, and where each begins (with the end of the last).

    A line is encoded as the tokenizer encodes a text, special tokens included, with its end token
    after it where it puts none there itself.

    Raises
    ------
    ValueError
        A tokenizer without an end token: lines could not be told apart.
    """
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    if end is None:
        raise ValueError(
            "tokenizer has neither eos_token nor sep_token, and lines need one between them: set "
            "tokenizer.eos_token"
        )
    rows = [_ended(row, end) for row in _encoded(tokenizer, list(lines))]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return np.fromiter((t for row in rows for t in row), np.int32, int(offsets[-1])), offsets


def _encoded(tokenizer: Any, lines: list[str]) -> list[list[int]]:
    fast = copy.deepcopy(getattr(tokenizer, "backend_tokenizer", None))
    if fast is None:
        return [list(row) for row in tokenizer(lines, verbose=False)["input_ids"]]
    # Directly: no warnings about length, and an order of magnitude faster.
    fast.no_truncation()
    fast.no_padding()
    return [encoding.ids for encoding in fast.encode_batch_fast(lines)]


def _ended(row: list[int], end: int) -> list[int]:
    return row if row and row[-1] == end else [*row, end]
