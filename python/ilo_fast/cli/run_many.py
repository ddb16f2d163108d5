"""``ilo-fast run --config``: several models on several corpora, into one folder of results.

One failure loses nothing of the others. What is finished stays; the next start does the rest.
"""

from __future__ import annotations

import argparse
import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ilo_fast._util.folders import made_folder, refuse_other
from ilo_fast._util.messages import counted
from ilo_fast.cli import common
from ilo_fast.cli.console import emit
from ilo_fast.cli.failures import EXIT_ACCESS, EXIT_ERROR, explained
from ilo_fast.cli.kept_model import KeptModel, model_settings
from ilo_fast.cli.leaderboard import LEADERBOARD_FILES, write_leaderboard
from ilo_fast.cli.output import (
    CERTAINTY,
    RESULTS_FOLDER,
    draw_results,
    folder_name,
    lacks_certainty,
    refuse_other_run,
    settings_names,
)
from ilo_fast.cli.parser import UsageError
from ilo_fast.cli.run_config import Job, RunConfig, read_config

if TYPE_CHECKING:
    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.report.leaderboard.folder import Attempts

logger = logging.getLogger(__name__)

# Settings that make another result, beside model, revision and corpus.
_EXPERIMENT: Final = (
    ("layers", None), ("pooling", "mean"), ("special_tokens", "include"), ("prefix", ""),
    ("max_length", None), ("tokenizer_languages", None), ("dtype", None), ("n_neighbors", 5),
    ("threshold", 3), ("metric", "cosine"),
)  # fmt: skip
_REMEDY: Final = (
    "give the corpus or the model a `name` of its own, choose another -o, or replace them with "
    "--overwrite"
)
# What may stand beside --config: where things are kept, and how much is said.
_BESIDE_CONFIG: Final = ("output", "overwrite", "cache", "no_cache")


@dataclass
class _Tally:
    measured: int = 0
    kept: int = 0
    busy: set[str] = field(default_factory=set)  # left to another process
    failed: dict[str, int] = field(default_factory=dict)  # what was noted, and its exit status


def run_many(args: argparse.Namespace) -> int:
    """Measure what the file asks for and is not there; the exit status."""
    config = read_config(args.config)
    folder = args.output or config.output or RESULTS_FOLDER / folder_name(args.config.stem)
    args.output = folder  # for the message after Ctrl-C
    with made_folder(folder, "-o"):
        return _Many(config, folder, args).run()


def refuse_other_flags(args: argparse.Namespace, measurement: argparse.Namespace) -> None:
    """Refuse flags that the file would have to overrule, or be overruled by.

    ``measurement`` are the flags of a measurement where none is given.
    """
    for name, usual in vars(measurement).items():
        if name not in _BESIDE_CONFIG and getattr(args, name) != usual:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} does not fit --config: write `{name}` into {args.config}")


def when_interrupted(args: argparse.Namespace) -> str:
    """What a reader of "interrupted" must know: what is kept, and how to go on."""
    where = "" if args.output is None else f" in {args.output}"
    return f"What is finished stays{where}; the same command does the rest."


class _Many:
    """One start of the command."""

    def __init__(self, config: RunConfig, folder: Path, args: argparse.Namespace) -> None:
        from ilo_fast.report.leaderboard.folder import Attempts

        self.config, self.folder, self.args = config, folder, args
        self.attempts: Attempts = Attempts(folder)
        self.corpora: dict[tuple[Any, ...], ParallelCorpus | Exception] = {}
        self.settings: dict[Path, dict[str, Any]] = {}  # of each result of this start
        self.tally = _Tally()
        self.model = KeptModel()
        self.model_stays = False  # the next result is of the same

    def run(self) -> int:
        jobs = self.config.jobs
        keys = [_key(job) for job in jobs]
        # What was tried and failed comes last: if it kills the process, the others are done.
        # Else all results of one model follow each other.
        before = [self.attempts.get(key) is not None for key in keys]
        models = [model_settings(job.args) for job in jobs]
        order = sorted(range(len(jobs)), key=lambda at: (before[at], models.index(models[at])))
        written: list[Path] = []
        try:
            for number, at in enumerate(order, start=1):
                follows = order[number] if number < len(order) else None
                # What failed has all memory the next time.
                self.model_stays = (
                    follows is not None and models[follows] == models[at] and not before[at]
                )
                self._try(jobs[at], keys[at], f"[{number}/{len(order)}]")
        finally:  # also after Ctrl-C
            written = write_leaderboard(self.folder, self._failures(keys))
        self._say(written)
        statuses = set(self.tally.failed.values())
        if not statuses:
            return 0
        return EXIT_ACCESS if statuses == {EXIT_ACCESS} else EXIT_ERROR

    def _try(self, job: Job, key: str, place: str) -> None:
        """Measure; note what goes wrong, and go on."""
        _prepare(job, self.args)
        model = _shown_model(job.args)
        about = {"model": model, "corpus": job.corpus_name or _short(job.args.corpus)}
        logger.info("%s %s on %s", place, model, about["corpus"])
        try:
            self._measure(job, key, about)
        except KeyboardInterrupt:
            self.attempts.clear(key)
            raise
        except Exception as error:
            if self.args.interrupted():  # libraries wrap it in errors of their own
                self.attempts.clear(key)
                raise KeyboardInterrupt from error
            if self.args.verbose:
                logger.info("%s", "".join(traceback.format_exception(error)).rstrip())
            text, status = explained(error, str)
            logger.error("%s on %s failed: %s", model, about["corpus"], text)
            self.attempts.fail(
                key, about, text, EXIT_ACCESS if status == EXIT_ACCESS else EXIT_ERROR
            )
            self.tally.failed[key] = status
        else:
            return
        self.model.let_go()  # only now: the error held all that was at work

    def _measure(self, job: Job, key: str, about: Mapping[str, Any]) -> None:
        from ilo_fast._util.hashing import digest
        from ilo_fast._util.locks import acquire
        from ilo_fast.report.leaderboard.folder import STATE, result_path

        began, args = time.monotonic(), job.args
        corpus = self._corpus(job)
        common.check_scorable(args, corpus)
        common.check_unit(args, corpus)
        title = job.corpus_name or " ".join((corpus.name, *_sample_names(args)))
        experiment = _experiment(args)
        path = result_path(
            self.folder, common.model_name(args), _pinned_revision(args), experiment, title
        )
        settings = common.extract_settings(args, corpus) | common.overlap_settings(args)
        settings["corpus_name"] = job.corpus_name or settings["corpus_name"]
        settings["companion_intervals"] = args.companion_intervals
        # Two of one file: each would replace the other at every start.
        before = self.settings.setdefault(path, settings)
        if lacks_certainty(before, settings):
            keys = (*CERTAINTY, "companion_intervals")
            pair = ({key: found[key] for key in keys} for found in (before, settings))
            refuse_other(path, *pair, holds="scores", remedy=_REMEDY)
        locks = self.folder / STATE / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = acquire(locks / f"{digest(path.relative_to(self.folder).as_posix())[:24]}.lock")
        if lock is None:
            logger.info("another process is measuring this")
            self.tally.busy.add(key)
            return
        try:
            if self._is_done(path, settings):
                logger.info("%s is there already", path)
                self._draw_missing(path.with_suffix(""), corpus, args)
                self.tally.kept += 1
            else:
                self.attempts.begin(key, about)
                self._write(path, corpus, settings, args, began, experiment, title)
                self.tally.measured += 1
                write_leaderboard(self.folder, [], drawn=False)
            self.attempts.clear(key)
        finally:
            lock.release()

    def _is_done(self, path: Path, settings: Mapping[str, Any]) -> bool:
        """Whether the result is there, of these settings.

        Raises
        ------
        ValueError
            It is of other settings.
        """
        from ilo_fast.report.leaderboard.record import Result

        if self.args.overwrite or not path.is_file():
            return False
        try:
            found = Result.read(path)
        except ValueError as error:
            logger.warning("%s; it is measured again", error)
            return False
        if found is None:
            raise ValueError(f"{path} is a file of another program: choose another -o")
        refuse_other_run(path, found.settings, settings, holds="scores", remedy=_REMEDY)
        wanted = settings["intervals"] and settings["companion_intervals"]
        if wanted and not found.settings.get("companion_intervals"):
            return False
        return not lacks_certainty(found.settings, settings)

    def _write(
        self,
        path: Path,
        corpus: ParallelCorpus,
        settings: dict[str, Any],
        args: argparse.Namespace,
        began: float,
        experiment: Mapping[str, Any],
        title: str,
    ) -> None:
        """Measure into the folder beside the result, and write the result last."""
        from ilo_fast.report.leaderboard.record import Result
        from ilo_fast.scores.companions.result import COMPANIONS_FILE, Companions

        inside = path.with_suffix("")
        revision = path.relative_to(self.folder).parts[1]
        representations = common.extract_representations(
            args, corpus, self.model.source(args, revision)
        )
        if not self.model_stays:  # scoring may need its room
            self.model.let_go()
        inside.mkdir(parents=True, exist_ok=True)
        scores, _ = common.score_into(
            inside, representations, settings, args, began,
            texts=corpus.sentences, drawn=self.config.reports,
        )  # fmt: skip
        beside = inside / COMPANIONS_FILE
        result = Result.of_scores(
            scores,
            Companions.from_json(beside) if beside.is_file() else None,
            model=common.model_name(args),
            revision=revision,
            corpus=title,
            experiment=experiment,
            settings={
                **scores.recorded("run"), "companion_intervals": settings["companion_intervals"],
            },
        )  # fmt: skip
        result.write(path)

    def _draw_missing(self, inside: Path, corpus: ParallelCorpus, args: argparse.Namespace) -> None:
        """Figures and page of what was measured with ``reports: false``."""
        from ilo_fast.report.files import REPORT_FILE
        from ilo_fast.scores.result import SCORES_FILE, OverlapScores

        drawn = not self.config.reports or (inside / REPORT_FILE).exists()
        if drawn or not (inside / SCORES_FILE).is_file():
            return
        draw_results(
            inside,
            OverlapScores.from_json(inside),
            with_texts=not args.no_text,
            texts=corpus.sentences,
            progress=not args.quiet,
        )

    def _corpus(self, job: Job) -> ParallelCorpus:
        """The text, read once for all models; so is what is wrong with it."""
        args = job.args
        key = (
            args.corpus, args.corpus_revision, args.split, args.languages, args.allow_unknown,
            args.limit, args.seed,
        )  # fmt: skip
        if key not in self.corpora:
            try:
                self.corpora[key] = common.load_corpus(args, args.languages)
            except Exception as error:
                self.corpora[key] = error
        found = self.corpora[key]
        if isinstance(found, Exception):
            raise found
        return found

    def _failures(self, keys: list[str]) -> list[dict[str, Any]]:
        """What this file asks for and failed, now or in another process."""
        noted = (self.attempts.get(key) for key in keys if key not in self.tally.busy)
        return [record for record in noted if record is not None]

    def _say(self, written: list[Path]) -> None:
        from ilo_fast.report.leaderboard.folder import find_results
        from ilo_fast.report.leaderboard.table import leaderboard_text

        found = find_results(self.folder)
        emit(leaderboard_text(found) if found else "nothing was measured\n")
        tally = self.tally
        parts = [
            f"{number} {what}"
            for number, what in (
                (tally.measured, "measured"),
                (tally.kept, "there already"),
                (len(tally.busy), "being measured by another process"),
                (len(tally.failed), "failed"),
            )
            if number
        ]
        files = f"; leaderboard in {counted(len(written), 'file')}" if written else ""
        emit(f"\n{', '.join(parts)}{files} in {self.folder}\n")
        emit("".join(f"open {path}\n" for path in written if path.name == LEADERBOARD_FILES[-1]))


def _prepare(job: Job, args: argparse.Namespace) -> None:
    """What the command line says for all."""
    for name in ("verbose", "quiet", "command", "overwrite", "cache", "no_cache", "began"):
        setattr(job.args, name, getattr(args, name))


def _key(job: Job) -> str:
    from ilo_fast._util.hashing import digest

    return digest(list(job.words))[:24]


def _shown_model(args: argparse.Namespace) -> str:
    """The model's name; of a folder that is not there its last part."""
    path = Path(args.model)
    if args.name or path.is_dir() or not path.is_absolute():
        return common.model_name(args)
    return path.name or args.model


def _short(corpus: str) -> str:
    return Path(corpus).name or corpus


def _sample_names(args: argparse.Namespace) -> list[str]:
    """Which sentences, where these are not all."""
    return [name for name in settings_names(args) if name.startswith(("limit-", "seed-"))]


def _experiment(args: argparse.Namespace) -> dict[str, Any]:
    """Settings that are not the default, as short texts and numbers."""
    from ilo_fast.graph.options import APPROXIMATE

    found: dict[str, Any] = {}
    for name, usual in _EXPERIMENT:
        value = getattr(args, name)
        if value == usual:
            continue
        if isinstance(value, Mapping):
            value = ",".join(f"{one}={other}" for one, other in sorted(value.items()))
        elif isinstance(value, tuple):
            value = ",".join(map(str, value))
        found[name] = value
    if args.backend in APPROXIMATE:
        found["backend"] = args.backend
    return found


def _pinned_revision(args: argparse.Namespace) -> str:
    """The commit of the model, or a hash of what its folder holds; of a branch, pins the commit."""
    from ilo_fast._util.hashing import hash_file
    from ilo_fast.cache import Store
    from ilo_fast.models.loading import open_files
    from ilo_fast.models.revision import model_revision

    store = Store.open(False if args.no_cache else args.cache or True)
    with common.model_output(args.quiet):
        files = open_files(
            args.model,
            revision=args.revision,
            trust_remote_code=args.trust_remote_code,
            adapters=True,
        )
    revision = model_revision(files, hash_file if store is None else store.file_hash)
    if files.revision == revision:  # what is measured is what its folder will be called
        args.revision = revision
    return revision
