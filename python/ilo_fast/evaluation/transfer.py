"""Zero-shot transfer: evaluate a classifier in languages that it was not trained on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.messages import listed
from ilo_fast._util.progress import CostBar, cost_bar
from ilo_fast._util.versions import versions
from ilo_fast.corpora.choosing import Languages
from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.corpora.languages import resolve_code, resolve_codes, suggest_codes
from ilo_fast.evaluation.classifiers import Classifier, open_classifier
from ilo_fast.evaluation.result import TransferScores
from ilo_fast.models.forward import accepted, evaluating, inference
from ilo_fast.models.identity import NUMERIC_PACKAGES, hash_state
from ilo_fast.models.limits import length_limit, position_limit
from ilo_fast.representations.batches import batch_workers, default_batch_tokens, run_batches
from ilo_fast.representations.language_codes import language_codes
from ilo_fast.representations.tokens import TokenizedText, tokenize

logger = logging.getLogger(__name__)

_TRAIN_ONE = (
    "load it with AutoModelForSequenceClassification, or train one with ilo_fast.finetune() on "
    "labelled data (command line: ilo-fast finetune --task classification)"
)


def transfer(
    model: str | os.PathLike[str] | nn.Module,
    data: LabelledCorpus | str | os.PathLike[str],
    *,
    tokenizer: Any = None,
    tokenizer_languages: Mapping[str, str] | None = None,
    split: str = "test",
    languages: Languages = None,
    source: str | None = "eng_Latn",
    labels: Sequence[str] | None = None,
    batch_tokens: int | None = None,
    max_length: int | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    seed: int = 0,
    n_boot: int = 1000,
    progress: bool = False,
) -> TransferScores:
    """Evaluate a classifier in every language of a labelled set.

    Parameters
    ----------
    model
        A folder or Hub name of a model with a classification head, or of a PEFT adapter of one
        (``adapter_config.json``); or a loaded module, which is left as it is, mode included.
    data
        A `LabelledCorpus`, or a folder for `LabelledCorpus.from_dir`. Its classes and the model's
        (``config.id2label``) are matched by name; it may lack some of the model's.
    tokenizer
        Needed for a loaded module whose ``name_or_path`` names none; else the model's own.
    tokenizer_languages
        As in `extract`.
    split
        What to evaluate on.
    languages
        Codes or names of sets, as in `LabelledCorpus.from_dir`. None: all that have the split.
    source
        The language that was trained on. It is evaluated like all others, and left out of groups;
        a warning says where it is not evaluated. None: nothing is left out.
    labels
        Names of the model's classes in the order of its scores, where its configuration does not
        name them (``LABEL_0``, ...).
    batch_tokens
        Padded tokens in a batch. On a GPU too small for it, it is halved until it fits.
    max_length
        Tokens kept of a text; None: what the tokenizer and the model allow.
    device, dtype, revision, trust_remote_code
        As in `extract`.
    seed, n_boot
        Of the bootstraps behind the intervals, and their number of draws. Predictions do not depend
        on them; no random state of the caller's is touched.
    progress
        A bar on stderr.

    Returns
    -------
    TransferScores

    Raises
    ------
    AccessError
        The model is absent, gated or offline; there is no such folder.
    CorpusError
        A language without labelled examples or without the split; flaws of the data.
    ValueError
        A model without a trained classification head, classes that do not match, or a `source`
        that is no language.
    TypeError
        An argument of a wrong type.
    ImportError
        An adapter, where peft is not installed.
    FloatingPointError
        Scores that are not numbers; names language and example.
    """
    started = time.perf_counter()
    whole_number("n_boot", n_boot)
    whole_number("seed", seed, least=0)
    for name, value in (("batch_tokens", batch_tokens), ("max_length", max_length)):
        if value is not None:
            whole_number(name, value)
    _check_types(split=split, source=source, labels=labels)
    if isinstance(data, LabelledCorpus):
        corpus = data
    else:
        corpus = _read(data, languages)
        languages = None if languages is None else corpus.languages
    codes = _languages(corpus, languages, split)
    source = _trained_on(source, codes, corpus)
    classifier = open_classifier(
        model,
        tokenizer=tokenizer,
        labels=labels,
        device=device,
        dtype=dtype,
        revision=revision,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    module = classifier.module
    classes, own, given = _match_labels(classifier, corpus)
    config: Any = module.config
    limit = length_limit(classifier.tokenizer, position_limit(module, config), max_length)
    spoken = language_codes(classifier.tokenizer, codes, tokenizer_languages)
    texts = {
        code: tokenize(
            classifier.tokenizer,
            code,
            corpus.texts(code, split),
            limit=limit,
            exclude_special=False,
            language=spoken.get(code),
        )
        for code in codes
    }
    n_texts = sum(len(text.ids) for text in texts.values())
    n_tokens = sum(len(ids) for text in texts.values() for ids in text.ids)
    with cost_bar(progress, "transfer", cost=n_tokens, items=n_texts, unit="text") as bar:
        found = _Evaluation(classifier, texts, batch_tokens).run(bar)
    weight = next(p for p in module.parameters() if p.is_floating_point())
    return TransferScores.from_predictions(
        {code: given[corpus.targets(code, split)] for code in codes},
        {code: own[found[code]] for code in codes},
        classes,
        split=split,
        source=source,
        seed=seed,
        n_boot=n_boot,
        info={
            "model": classifier.name,
            "architecture": type(module).__name__,
            "weights_sha256": hash_state(module),
            "dtype": str(weight.dtype).removeprefix("torch."),
            "device": str(classifier.device),
            "max_length": limit,
            "language_codes": spoken or None,
            "truncated": {c: text.truncated for c, text in texts.items() if text.truncated},
            "data": {"name": corpus.name, **corpus.source, "sha256": corpus.fingerprint()},
            "seconds": round(time.perf_counter() - started, 3),
            "versions": versions(*NUMERIC_PACKAGES),
        },
    )


def _read(path: Any, languages: Languages) -> LabelledCorpus:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"data is a {type(path).__name__}: wanted a LabelledCorpus, or a folder of labelled "
            "files"
        )
    return LabelledCorpus.from_dir(path, languages)


def _languages(corpus: LabelledCorpus, languages: Languages, split: str) -> tuple[str, ...]:
    """The languages to evaluate: those asked for, else all that have the split."""
    if isinstance(languages, Mapping):
        raise TypeError("languages maps codes to names of files: give it with a folder as data")
    if languages is not None:
        codes = resolve_codes(languages, allow_unknown=True, known=corpus.languages)
    else:
        having = [code for code in corpus.languages if split in corpus.splits_of(code)]
        lacking = [code for code in corpus.languages if code not in having]
        if having and lacking:
            logger.warning("not evaluated, having no split %r: %s", split, listed(lacking))
        codes = tuple(having) or corpus.languages
    for code in codes:
        corpus.n(code, split)  # raises, naming what there is
    return codes


def _check_types(*, split: object, source: object, labels: object) -> None:
    if not isinstance(split, str):
        raise TypeError(f"split must be a name such as 'test', got {split!r}")
    if not isinstance(source, str | None):
        raise TypeError(f"source must be a language code such as 'eng_Latn', got {source!r}")
    if labels is None:
        return
    names = list(labels) if isinstance(labels, Sequence) and not isinstance(labels, str) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"labels must be the names of the classes, a sequence, got {labels!r}")


def _trained_on(source: str | None, codes: Sequence[str], corpus: LabelledCorpus) -> str | None:
    """The code of the source; refuses what is no language, warns of one that is not evaluated."""
    if source is None or source in codes:
        return source
    code = resolve_code(source, corpus.languages)
    if code is None:
        near = suggest_codes(source)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(
            f"source={source!r} is neither a language code nor a language of the data: {hint}Give "
            "the language that was trained on, or None (command line: --source none)"
        )
    if code not in codes:
        logger.warning(
            "the language that was trained on, source=%s, is not among those evaluated (%s): there "
            "is none to compare with, and none is left out of groups",
            code, listed(codes),
        )  # fmt: skip
    return code


def _match_labels(
    classifier: Classifier, corpus: LabelledCorpus
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    """All classes, and the number among them of each of the model's, and of each of the corpus's.

    They are the corpus's where the model has the same, else the model's, if it has all of those.

    Raises
    ------
    ValueError
        The model lacks classes of the corpus, or has no names for its own.
    """
    own, wanted = classifier.labels, corpus.labels
    unnamed = own == tuple(f"LABEL_{i}" for i in range(len(own)))
    classes: tuple[str, ...] = ()
    if sorted(own) == sorted(wanted):
        classes = wanted
    elif set(wanted) < set(own) and len(set(own)) == len(own) and not unnamed:
        classes = own
        absent = [label for label in own if label not in wanted]
        logger.warning("%s: no examples of the model's classes %s", corpus.name, listed(absent))
    if classes:
        numbers = [np.array([classes.index(x) for x in side], np.int64) for side in (own, wanted)]
        return classes, numbers[0], numbers[1]
    kind = type(classifier.module).__name__
    if unnamed and "SequenceClassification" not in kind:
        raise ValueError(f"model is a {kind} without a classification head: {_TRAIN_ONE}")
    fix = "Evaluate the model that was trained for these classes, or spell them alike"
    if unnamed and len(own) == len(wanted):
        fix = (
            "The model's configuration does not name its classes: pass labels= (command line: "
            "--labels) with their names, in the order that it was trained with"
        )
    raise ValueError(
        f"classes do not match: model {classifier.name!r} ({kind}) has {len(own)} "
        f"({listed(own)}), data {corpus.name!r} has {len(wanted)} ({listed(wanted)}). "
        f"{fix}"
    )


class _Evaluation:
    """The forward passes over all texts of all languages, those of one length together."""

    def __init__(
        self, classifier: Classifier, texts: dict[str, TokenizedText], batch_tokens: int | None
    ) -> None:
        self._classifier = classifier
        self._texts = texts
        self._budget = batch_tokens or default_batch_tokens(classifier.device)
        if classifier.pad_id is None:
            # A head that looks for the last token before the padding cannot be given any.
            logger.info("%s has no padding token: one text at a time", classifier.name)
            self._budget = 1

    def run(self, bar: CostBar) -> dict[str, NDArray[np.int64]]:
        """The position of the highest score of each text; of equals the first."""
        items = [(code, row) for code, text in self._texts.items() for row in range(len(text.ids))]
        lengths = [len(self._texts[code].ids[row]) for code, row in items]
        best = np.empty(len(items), np.int64)

        def classify(members: Sequence[int]) -> NDArray[np.int64]:
            return self._classify([items[i] for i in members])

        def keep(members: Sequence[int], answers: NDArray[np.int64]) -> None:
            best[members] = answers
            bar.advance(sum(lengths[i] for i in members), len(members))

        with (
            evaluating(self._classifier.module),
            batch_workers(self._classifier.device) as workers,
        ):
            run_batches(
                classify, lengths, self._budget, workers,
                on_result=keep, name=lambda i: f"{items[i][0]}, example {items[i][1] + 1}",
            )  # fmt: skip
        ends = np.cumsum([len(text.ids) for text in self._texts.values()])
        return dict(zip(self._texts, np.split(best, ends[:-1]), strict=True))

    def _classify(self, batch: Sequence[tuple[str, int]]) -> NDArray[np.int64]:
        module: Any = self._classifier.module
        rows = [self._texts[code].ids[row] for code, row in batch]
        shape = len(rows), max(map(len, rows))
        ids = np.full(shape, self._classifier.pad_id or 0, np.int64)
        mask = np.zeros(shape, np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = row, 1
        device = next(module.parameters()).device
        with inference(module):
            output = module(
                input_ids=torch.from_numpy(ids).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
                **accepted(module, use_cache=False),
            )
            logits = getattr(output, "logits", None)
            wanted = (len(rows), len(self._classifier.labels))
            if logits is None or tuple(logits.shape) != wanted:
                raise ValueError(
                    f"model is a {type(module).__name__} without a classification head "
                    f"({'no logits' if logits is None else f'logits of {tuple(logits.shape)}'}, "
                    f"wanted {wanted}): {_TRAIN_ONE}"
                )
            scores = logits.float().cpu().numpy()
        bad = np.flatnonzero(np.isnan(scores).any(axis=1))
        if len(bad):
            code, number = batch[int(bad[0])]
            raise FloatingPointError(
                f"{code}, example {number + 1}: the model's scores are not numbers; are its "
                "weights sound? (float16 overflows: use dtype='bfloat16' or 'float32', on the "
                "command line --dtype)"
            )
        best: NDArray[np.int64] = scores.argmax(axis=1).astype(np.int64)
        return best
