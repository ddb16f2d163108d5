"""Errors that a caller can tell from other ValueErrors and RuntimeErrors."""

from ilo_fast._util.messages import plain


class CorpusError(ValueError):
    """The text is wrong: misaligned files, an empty line, an unknown language code.

    Its message is one line without control characters: names, labels and cells in it come from
    other people's files.
    """

    def __init__(self, message: str) -> None:
        super().__init__(plain(message))


class AccessError(RuntimeError):
    """A model or a data set cannot be reached: absent, gated or offline.

    The message says how to get access. The command line exits with status 3.
    """
