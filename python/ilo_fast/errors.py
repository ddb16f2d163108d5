"""Errors that a caller can tell from other ValueErrors and RuntimeErrors."""


class CorpusError(ValueError):
    """The text is wrong: misaligned files, an empty line, an unknown language code."""


class AccessError(RuntimeError):
    """A model or a data set cannot be reached: absent, gated or offline.

    The message says how to get access. The command line exits with status 3.
    """
