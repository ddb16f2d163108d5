"""The sentences of the study: to train on, to test on, to measure alignment on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilo_fast import ParallelCorpus
from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.corpora.text import read_text, shared_lines
from ilo_fast.errors import CorpusError

from .plan import SOURCE, read_articles, shared_articles, spread, unseen_lines


@dataclass(frozen=True)
class Data:
    """Everything that runs train on and are scored with.

    Attributes
    ----------
    training
        English: split "train".
    tuning
        English: the same with the split "dev", for the choice of a learning rate. Never "test".
    testing
        Every language: split "test".
    flores
        Parallel sentences that are in none of the above.
    lines
        English text for language modelling; `finetune` holds some of it out.
    info
        What was chosen and dropped, JSON-able.
    """

    training: LabelledCorpus
    tuning: LabelledCorpus
    testing: LabelledCorpus
    flores: ParallelCorpus
    lines: tuple[str, ...]
    info: dict[str, Any]

    def texts(self) -> list[str]:
        """Every sentence that is trained on, tested on or measured on, once."""
        found = [text for lines in self.flores.sentences.values() for text in lines]
        for corpus in (self.training, self.tuning, self.testing):
            for code in corpus.languages:
                for split in corpus.splits_of(code):
                    found += corpus.texts(code, split)
        return list(dict.fromkeys([*found, *self.lines]))


def read_data(
    corpora: Path,
    *,
    limit: int | None,
    test_limit: int | None,
    lm_text: str,
    lm_lines: int,
) -> Data:
    """Read and split the text.

    Parameters
    ----------
    corpora
        Holds ``sib200/<code>.jsonl`` (with a field ``flores``) and ``flores200_devtest/``.
    limit, test_limit
        FLORES sentences and test sentences a language; None: all.
    lm_text
        A folder in ``corpora`` with ``eng_Latn.txt``, or any file of English lines.
    lm_lines
        So many of its lines, evenly spread.

    Raises
    ------
    CorpusError, AccessError, ValueError
        Text that is missing, or that is measured on as well as trained on.
    """
    sib = LabelledCorpus.from_dir(corpora / "sib200")
    whole = ParallelCorpus.from_dir(corpora / "flores200_devtest")
    languages = [code for code in whole.languages if code in sib.languages]
    if SOURCE not in languages:
        raise CorpusError(f"{corpora}: sib200 and flores200_devtest must both have {SOURCE}")
    # Every split of every language: no sentence of SIB is measured on.
    used = {
        str(identifier)
        for code in languages
        for split in sib.splits_of(code)
        for identifier in sib.field(code, split, "flores")
    }
    articles = read_articles(corpora / "flores200_devtest")
    free, dropped = unseen_lines(used, whole.n_sentences, articles)
    chosen = spread(free, limit)
    flores = ParallelCorpus.from_dict(
        {code: [whole.sentences[code][line] for line in chosen] for code in languages},
        name="FLORES-200 devtest, unseen lines",
    )

    def part(splits: dict[str, list[tuple[str, int | None]]]) -> LabelledCorpus:
        examples: dict[str, dict[str, tuple[list[str], list[str]]]] = {}
        for code, wanted in splits.items():
            for split, most in wanted:
                texts, targets = sib.texts(code, split), sib.targets(code, split)
                rows = spread(range(len(texts)), most)
                examples.setdefault(code, {})[split] = (
                    [texts[row] for row in rows],
                    [sib.labels[targets[row]] for row in rows],
                )
        return LabelledCorpus.from_dict(examples, labels=sib.labels, name="SIB-200")

    training = part({SOURCE: [("train", None)]})
    tuning = part({SOURCE: [("train", None), ("dev", None)]})
    testing = part({code: [("test", test_limit)] for code in languages})

    ids = {split: sib.field(SOURCE, split, "flores") for split in ("train", "test")}
    tested = [ids["test"][row] for row in spread(range(len(ids["test"])), test_limit)]

    path = corpora / lm_text
    text = read_text(path if path.exists() else Path(lm_text), SOURCE)
    shared = shared_lines(text, flores.sentences)
    if shared:
        raise CorpusError(
            f"{lm_text} has {len(shared)} of the FLORES sentences that alignment is measured on: "
            "give another --lm-text"
        )
    lines = tuple(text[row] for row in spread(range(len(text)), lm_lines))
    info = {
        "languages": languages,
        "labels": list(sib.labels),
        "train": training.n(SOURCE, "train"),
        "test": testing.n(SOURCE, "test"),
        "test_articles": shared_articles(ids["train"], tested, articles),
        "flores": len(chosen),
        "flores_lines": {**dropped, "by_article": articles is not None},
        "lm_text": lm_text,
        "lm_lines": len(lines),
        "sha256": {
            "training": training.fingerprint(),
            "testing": testing.fingerprint(),
            "flores": flores.fingerprint(),
            "lm": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        },
    }
    return Data(training, tuning, testing, flores, lines, info)
