"""What transformers and the Hub raise, in one sentence that says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ilo_fast._util.messages import elide, plain
from ilo_fast.errors import AccessError

_LONGEST = 300  # characters of a message of theirs
# Files that hold what is being loaded.
_FILES = {
    "configuration": "config.json",
    "tokenizer": "tokenizer.json, tokenizer_config.json or a vocabulary beside them",
    "weights": "config.json or the weights",
    "adapter": "adapter_config.json or the adapter's weights",
}


@contextlib.contextmanager
def access_errors(name: str, what: str) -> Iterator[None]:
    """Turn what transformers and the Hub raise into one error that says what to do.

    Parameters
    ----------
    name
        The model, as the caller gave it.
    what
        What is being loaded, for the message.
    """
    try:
        yield
    except (AccessError, MemoryError):
        raise
    except Exception as error:
        # Readers of files that are damaged, or no model's, raise whatever they stumble over.
        if "out of memory" in str(error).lower():
            raise
        raise _explain(name, what, error) from error


def _explain(name: str, what: str, error: BaseException) -> Exception:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    kinds = {type(link).__name__ for link in chain}
    text = " ".join(str(link) for link in chain)
    first = elide(plain(error), _LONGEST).rstrip(".") or type(error).__name__
    if "trust_remote_code" in text:
        return AccessError(
            f"{name!r} runs Python code from its own repository. Read that code first; then pass "
            "trust_remote_code=True (command line: --trust-remote-code) to allow it"
        )
    if "GatedRepoError" in kinds or "gated repo" in text.lower() or "401 Client" in text:
        return AccessError(
            f"{name!r} is gated: accept its terms at https://huggingface.co/{name}, then run "
            "`hf auth login` (older: `huggingface-cli login`) or set HF_TOKEN; or pass the folder "
            "of a copy that you have"
        )
    if kinds & {"RevisionNotFoundError"}:
        return AccessError(f"{name!r} has no such revision: {first}")
    if kinds & {"RepositoryNotFoundError"}:
        return AccessError(
            f"{name!r} is no model on the Hub, or a private one that this login may not see: check "
            "the spelling (owner/name), run `hf auth login`, or pass a local folder"
        )
    offline = kinds & {
        "OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError", "ConnectError",
        "ConnectTimeout", "ReadTimeout", "MaxRetryError", "ProxyError",
    }  # fmt: skip
    if offline or "couldn't connect" in text or "offline" in text.lower():
        return AccessError(
            f"cannot reach the Hub for the {what} of {name!r}, and it is not in the local cache: "
            "go online (and unset HF_HUB_OFFLINE), download it elsewhere with `hf download "
            f"{name}`, or pass a local folder"
        )
    if "UnpicklingError" in kinds and "weights" in what:
        return ValueError(
            f"the weights of {name!r} are a pickle that holds more than tensors, which could run "
            "any code when it is opened: nothing was loaded. Ask for safetensors"
        )
    if "SafetensorError" in kinds or (what == "weights" and "PytorchStreamReader" in text):
        return ValueError(f"the weights of {name!r} are damaged: {first}. Download them again")
    if (
        kinds & {"RecursionError", "JSONDecodeError", "UnicodeDecodeError"}
        or type(error) is Exception
    ):
        kind = AccessError if isinstance(error, OSError) else ValueError
        return kind(f"the {what} of {name!r} is damaged: {first}. Download or save it again")
    if isinstance(error, (KeyError, AttributeError, TypeError, IndexError)):
        # What Python says where a library reads JSON of another form than it expects.
        return ValueError(
            f"the {what} of {name!r} is damaged, or of another version of transformers: "
            f"{_FILES.get(what, 'a file')} is not of the form that is expected "
            f"({type(error).__name__}: {first}). Download or save it again"
        )
    if isinstance(error, OSError):
        return AccessError(f"cannot load the {what} of {name!r}: {first}")
    return ValueError(f"cannot load the {what} of {name!r}: {first}")
