"""The command line as it is typed: suggestions, lists with spaces, words of the messages."""

from __future__ import annotations

import pytest

from ilo_fast.cli import build_parser, main
from ilo_fast.cli.parser import with_joined_lists
from ilo_fast.cli.wording import in_flags

FLAGS = (
    "--n-neighbors", "-k", "--threshold", "--layers", "--dtype", "--batch-tokens", "--no-cache",
    "--max-length", "--seed",
)  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "near"),
    [
        (["rum"], "did you mean run?"),
        (["run", "--limt", "3"], "did you mean --limit?"),
        (["run", "--langauges=eng_Latn"], "did you mean --languages?"),
        (["run", "--threads", "3"], "did you mean --n-threads?"),
        (["run", "--metric", "cosin"], "did you mean cosine?"),
        (["finetune", "--task", "clasification"], "did you mean classification?"),
        (["run", "somewhere"], "somewhere: not known here"),
        (["-q", "cache", "list"], "-q must follow the command: ilo-fast cache -q"),
        ([], "required: COMMAND"),
    ],
)
def test_typos_end_in_one_line_with_a_suggestion(
    argv: list[str], near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert near in error and len(error.splitlines()) == 1 and "--help`" in error


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("run --languages eng_Latn deu_Latn -q", "run --languages=eng_Latn,deu_Latn -q"),
        ("run -l eng_Latn, deu_Latn fra", "run -l eng_Latn,deu_Latn,fra"),
        ("run -l en zh-TW zho_Hans=zh -q", "run -l en,zh-TW,zho_Hans=zh -q"),
        ("run --layers 0 4 8-12 -1 -k 3", "run --layers=0,4,8-12,-1 -k 3"),
        ("run --layers -1,0", "run --layers=-1,0"),
        ("finetune --freeze 0 1 2 -o out", "finetune --freeze=0,1,2 -o out"),
        ("transfer -l eng_Latn ./my-model", "transfer -l eng_Latn ./my-model"),
        ("transfer -l eng_Latn my_model", "transfer -l eng_Latn my_model"),
        ("run --layers -q", "run --layers -q"),
        ("run --layers", "run --layers"),
        ("score x -- --layers 1 2", "score x -- --layers 1 2"),
    ],
)
def test_spaces_where_commas_are_wanted_are_understood(typed: str, meant: str) -> None:
    assert with_joined_lists(typed.split()) == meant.split()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("n_neighbors=9 needs more: use n_neighbors=5 or less", 
         "--n-neighbors 9 needs more: use --n-neighbors 5 or less"),
        ("threshold=4 cannot be reached with n_neighbors=3: use threshold=3.",
         "--threshold 4 cannot be reached with --n-neighbors 3: use --threshold 3."),
        ("layers holds 9, but this model has 2", "--layers holds 9, but this model has 2"),
        ("choose fewer layers=", "choose fewer --layers"),
        ("use dtype='bfloat16' or 'float32'", "use --dtype bfloat16 or 'float32'"),
        ("out of memory: continuing with batch_tokens=4", 
         "out of memory: continuing with --batch-tokens 4"),
        ("pass cache=True (or a folder) to keep them on disk", "leave out --no-cache"),
        ("2 sentences are longer than max_length", "2 sentences are longer than --max-length"),
        ("no file /a/max_length/seed=3.txt", "no file /a/max_length/seed=3.txt"),
        ("revision='x' is not there", "revision='x' is not there"),
        ("the text has layers of sense", "the text has layers of sense"),
        ("train anew with dtype='x' or allow_unknown=True (command line: --allow-unknown)",
         "train anew with --dtype x or --allow-unknown"),
        ("name them with languages= (command line: --languages), or not",
         "name them with --languages, or not"),
    ],
)  # fmt: skip
def test_messages_speak_of_flags(said: str, shown: str) -> None:
    assert in_flags(said, FLAGS) == shown


def test_every_command_lists_its_flags_long_and_short() -> None:
    args = build_parser().parse_args(["run"])
    found = args.parser.flags()
    assert {"-k", "--n-neighbors", "-m", "--model", "--n-threads", "--revision", "-q"} <= set(found)
