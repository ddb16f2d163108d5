"""`steer`: output steered from one language into another, with baselines, pair by pair."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from numpy.typing import ArrayLike
from torch import nn

from ilo_fast._util.checks import path_of, real_number, share, whole_number
from ilo_fast._util.files import read_json, write_json
from ilo_fast._util.folders import made_folder, refuse_other
from ilo_fast._util.hashing import digest
from ilo_fast._util.progress import cost_bar
from ilo_fast._util.schema import damage_refused
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.identity import hash_state
from ilo_fast.transcoders.interventions.intervened import replacement_of
from ilo_fast.transcoders.multilingual.steering.pairs import RANDOM, VECTORS, steered_pair
from ilo_fast.transcoders.multilingual.steering.preparing import Bench, Settings, prepared
from ilo_fast.transcoders.multilingual.steering.result import PairResult, SteeringResult
from ilo_fast.transcoders.multilingual.steering.running import Runner
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

logger = logging.getLogger(__name__)

BASELINES: Final = (RANDOM, *VECTORS)
STRENGTHS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
_SETTINGS: Final = "settings.json"
_PAIRS: Final = "pairs"


def steer(
    model: nn.Module | ReplacementModel,
    transcoder: CrossLayerTranscoder | None,
    corpus: ParallelCorpus,
    features: Mapping[str, ArrayLike] | None = None,
    *,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str]] | None = None,
    n_prompts: int = 100,
    max_new_tokens: int = 16,
    strengths: Sequence[float] = STRENGTHS,
    validation_share: float = 0.5,
    baselines: Sequence[str] = BASELINES,
    n_random: int = 3,
    background: Mapping[str, Sequence[str]] | None = None,
    background_share: float = 0.5,
    background_lines: int = 400,
    n_examples: int = 5,
    documents: Sequence[Any] | None = None,
    seed: int = 0,
    output_dir: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> SteeringResult:
    """Suppress a language's features, put another's in their place, and see how prompts go on.

    Prompts are the first halves of lines. They go on by the likeliest token, in batches. With a
    strength s,

    - *suppression* scales the activations of the source's features by 1 - s (1: off; 2: reversed),
    - *substitution* switches the source's features off, and sets the target's, at every token, to
      s times their mean activation where they are active,
    - *random* substitutes features that are matched in layer, density and norm,
    - *mean_difference* adds s times the difference of the languages' mean residual streams behind
      one layer, *unembedding* as much in the direction of the target's tokens minus the source's.

    Strengths are those of the most successes on the validation prompts, of equals the weakest; so
    are layers of vectors, with every second strength. What is reported is of the test prompts
    alone. Success is a continuation that the identifier takes for the target's language; of
    suppression, for another than the source's.

    Parameters
    ----------
    model, transcoder
        As for `intervened`.
    corpus
        Parallel lines. Prompts of a language are the same lines in all.
    features
        Language -> columns (layer * n_features + feature), found on other documents than those of
        `corpus`. None: by `simple_language_columns`, on the background.
    pairs
        (source, target); None: all ordered pairs of the corpus's languages.
    n_prompts
        Of each language, validation and test together.
    max_new_tokens
        Tokens of each continuation. Tokens that end a text are never chosen.
    strengths
        Above 0.
    validation_share
        Of the documents, and of the prompts.
    baselines
        Some of ``"random"``, ``"mean_difference"``, ``"unembedding"``.
    n_random
        Sets of random features, averaged.
    background
        Language -> lines: text that the identifier, mean activations and vectors are of. None: a
        share of the corpus's documents, of which no prompt is.
    background_share
        That share.
    background_lines
        So many lines of each language go through the model at most.
    n_examples
        Continuations to keep of each pair.
    documents
        Of each line of the corpus. None: as the corpus says; else each line is one.
    seed
        Of all that is drawn.
    output_dir
        Pairs are kept here as they are done; the same call goes on from there.
    progress
        A bar on stderr.

    Raises
    ------
    ValueError
        An argument cannot be; there are fewer lines than prompts; `output_dir` holds results of
        other settings, which it names.
    """
    settings = Settings(
        n_prompts=whole_number("n_prompts", n_prompts, least=4),
        max_new_tokens=whole_number("max_new_tokens", max_new_tokens),
        strengths=_strengths(strengths),
        validation_share=_inner("validation_share", validation_share),
        background_share=_inner("background_share", background_share),
        background_lines=whole_number("background_lines", background_lines, least=10),
        baselines=_baselines(baselines),
        n_random=whole_number("n_random", n_random),
        n_examples=whole_number("n_examples", n_examples, least=0),
        seed=whole_number("seed", seed, least=0),
    )
    wanted = _pairs(pairs, corpus.languages)
    it = replacement_of(model, transcoder)
    place = None if output_dir is None else path_of("output_dir", output_dir)
    bench = prepared(
        it, corpus, features, background, tokenizer, documents, settings, progress=progress
    )
    key = {
        **asdict(settings),
        "corpus_sha256": corpus.fingerprint(),
        "documents_sha256": digest(None if documents is None else [str(d) for d in documents]),
        "background_sha256": digest(
            None if background is None else {code: list(own) for code, own in background.items()}
        ),
        "weights_sha256": hash_state(it.parts.backbone, computed=False),
        "transcoder_sha256": hash_state(it.transcoder, computed=False),
        "features_sha256": digest({code: own.tolist() for code, own in bench.columns.items()}),
    }
    runner, found, skipped = Runner(bench), [], {}
    with contextlib.ExitStack() as stack:
        if place is not None:
            stack.enter_context(made_folder(place, "output_dir"))
            _claim(place, key)
        bar = stack.enter_context(
            cost_bar(progress, "steering", cost=len(wanted), items=len(wanted), unit="pair")
        )
        before = None
        for source, target in wanted:
            lacking = [code for code in (source, target) if not len(bench.columns[code])]
            if lacking:
                skipped[f"{source}>{target}"] = f"{lacking[0]} has no features"
                bar.advance(1, 1, free=True)
                continue
            one = None if place is None else _kept(place, key, source, target)
            is_kept = one is not None
            if one is None:
                if source != before:
                    runner.forget()
                before = source
                one = steered_pair(runner, source, target)
                if place is not None:
                    _keep(place, key, one)
            found.append(one)
            bar.advance(1, 1, free=is_kept)
    for name, why in skipped.items():
        logger.warning("%s is left out: %s", name, why)
    return SteeringResult(
        languages=tuple(corpus.languages),
        pairs=tuple(found),
        skipped=skipped,
        identifier=bench.accuracy,
        columns={code: tuple(map(int, own)) for code, own in bench.columns.items()},
        info=json.loads(json.dumps(key | _sample(bench))),
    )


def _sample(bench: Bench) -> dict[str, Any]:
    prompts = bench.prompts
    test, validation = ~prompts.is_validation, prompts.is_validation
    return {
        "validation_prompts": int(validation.sum()),
        "test_prompts": int(test.sum()),
        "validation_documents": len(set(prompts.document[validation])),
        "test_documents": len(set(prompts.document[test])),
        "validation_lines": prompts.line[validation].tolist(),
        "test_lines": prompts.line[test].tolist(),
        "identifier_lines": dict(bench.identifier.n_lines),
    }


def _claim(place: Path, key: Mapping[str, Any]) -> None:
    """Refuse a folder of other settings; else it is of these."""
    before = read_json(place / _SETTINGS)
    if before is not None:
        refuse_other(
            place, before, key, holds="steering results",
            remedy="give another output_dir (command line: -o), or remove this one",
        )  # fmt: skip
    write_json(place / _SETTINGS, dict(key))
    (place / _PAIRS).mkdir(exist_ok=True)


def _file(place: Path, source: str, target: str) -> Path:
    return place / _PAIRS / f"{source}__{target}.json"


def _kept(place: Path, key: Mapping[str, Any], source: str, target: str) -> PairResult | None:
    data = read_json(_file(place, source, target))
    if data is None or data.get("settings_sha256") != digest(key):
        return None
    with damage_refused(f"the results in {_file(place, source, target)}", "remove the file"):
        return PairResult.from_dict(data["pair"])


def _keep(place: Path, key: Mapping[str, Any], one: PairResult) -> None:
    data = {"settings_sha256": digest(key), "pair": one.to_dict()}
    write_json(_file(place, one.source, one.target), data)


def _inner(name: str, value: float) -> float:
    number = share(name, value)
    if not 0 < number < 1:
        raise ValueError(f"{name}={number:g} leaves nothing for the other part: give 0.5, say")
    return number


def _strengths(given: Sequence[float]) -> tuple[float, ...]:
    found = tuple(sorted({real_number("strengths", s) for s in given}))
    if not found or found[0] <= 0:
        raise ValueError(f"strengths={tuple(given)} must be at least one number, all above 0")
    return found


def _baselines(given: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in given if name not in BASELINES]
    if isinstance(given, str) or unknown:
        raise ValueError(f"baselines={given!r}: give some of {', '.join(BASELINES)}")
    return tuple(name for name in BASELINES if name in given)


def _pairs(
    given: Sequence[tuple[str, str]] | None, languages: Sequence[str]
) -> list[tuple[str, str]]:
    if len(languages) < 2:
        raise ValueError(f"corpus has one language, {languages[0]}: steering takes two")
    if given is None:
        return [(a, b) for a in languages for b in languages if a != b]
    found = []
    for pair in given:
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(languages):
            raise ValueError(
                f"pairs holds {pair!r}: give (source, target), two of {', '.join(languages)}"
            )
        found.append((pair[0], pair[1]))
    if not found:
        raise ValueError("pairs is empty: give some, or None for all")
    return sorted(dict.fromkeys(found), key=lambda pair: languages.index(pair[0]))
