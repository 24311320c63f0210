"""The exception tree. Every error that embedrec raises on purpose is an `EmbedrecError`.

EmbedrecError
 ├── DataError           input files and rows that cannot be used
 ├── SettingsError       a setting, option or argument that cannot be met
 ├── UnknownItemError    an id or name that is not in the vocabulary
 ├── TargetNotMet        an index or a model that does not meet its target
 ├── ArtifactError       a missing, damaged or incompatible artifact
 ├── TrainingError       training that failed (loss not finite)
 ├── PublishError        a service that cannot be reached, or that rejects the published content
 └── ServiceError        an error that `embedrec serve` answers with, or that it cannot be reached

A message says what is wrong, what was given, and what to do; it is one sentence, without a full stop where
a path or an id ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar


class EmbedrecError(Exception):
    """Base class of all errors of embedrec; the command line prints its message and exits with 1.

    >>> from embedrec import EmbedrecError, Vocab
    >>> try:
    ...     Vocab(["bread", "jam"]).rows(["jamm"], strict=True)
    ... except EmbedrecError as e:
    ...     print(e)
    no item 'jamm' among the 2 of the vocabulary; did you mean 'jam'?
    """


class DataError(EmbedrecError):
    """Input files or rows that cannot be used."""


class SettingsError(EmbedrecError):
    """A setting, option or argument that cannot be met."""


class UnknownItemError(EmbedrecError):
    """An id or name that is not in the vocabulary; `near` are the ids of items that may be meant."""

    def __init__(self, message: str, near: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.near = near


class TargetNotMet(EmbedrecError):  # noqa: N818 (the name of the plan)
    """An index that cannot meet its recall or latency target, or a composite model that is not better than its parts.

    `points` are the measurements, as JSON.
    """

    def __init__(self, message: str, points: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.points = points


class ArtifactError(EmbedrecError):
    """A missing, damaged or incompatible artifact."""


class TrainingError(EmbedrecError):
    """Training that failed."""


class PublishError(EmbedrecError):
    """A service that cannot be reached, or that rejects the published content."""


class ServiceError(EmbedrecError):
    """An answer of a service that is an error; status 0 if it cannot be reached. `near` are items that may be meant."""

    def __init__(self, message: str, status: int = 0, near: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.near = near


EXTRAS = {  # module that is no dependency of embedrec itself → the extra that installs it
    "gensim": "gensim",
    "httpx": "client",
    "lightgbm": "rank",
    "matplotlib": "plots",
    "mlflow": "mlflow",
    "onnx": "onnx",
    "optuna": "tune",
    "pandas": "pandas",
    "psycopg": "postgres",
    "pyspark": "spark",
    "qdrant_client": "qdrant",
    "redis": "redis",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "umap": "umap",
    "uvicorn": "serve",
    "wandb": "wandb",
}


def need_package(module: str, purpose: str) -> None:
    """Raises SettingsError if a module of `EXTRAS` cannot be imported; long work checks this first.

    purpose  what needs it: "training two-tower"
    """
    try:
        import_module(module)
    except (ImportError, OSError) as e:  # OSError: a library of the system is missing, such as that of OpenMP
        absent = isinstance(e, ModuleNotFoundError) and e.name == module
        why = "" if absent else f", which cannot be imported ({reason(e)})"
        remedy = f"install it with `pip install 'embedrec[{EXTRAS[module]}]'`"
        raise SettingsError(f"{purpose} needs the package {module}{why}; {remedy}") from e


def can_import(module: str) -> bool:
    """Whether a module of `EXTRAS` can be imported."""
    try:
        need_package(module, "")
    except SettingsError:
        return False
    return True


def reason(error: Exception) -> str:
    """The first line of another library's exception, for use in an error message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def system_error(error: OSError) -> str:
    """The operating system's message, with the file it concerns, for the user of a command."""
    file = f" ({error.filename})" if error.filename else ""
    return f"operating system error: {error.strerror or error}{file}; no partial output remains"


def did_you_mean(given: str, valid: Iterable[str]) -> str:
    """The part of a message that suggests valid words: "; did you mean 'window'?" or ""."""
    from embedrec.text.near_misses import close_matches

    near = close_matches(given, valid)
    return f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


T = TypeVar("T")


@contextmanager
def decoding(failed: Callable[[str], EmbedrecError], *, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Convert what a parser of untrusted bytes raises in this block into the error that `failed` returns.

    failed   one-line reason → error: `lambda why: DataError(f"{path} is not a Parquet file ({why})")`
    passing  exceptions that pass unchanged, besides errors of embedrec: OSError if the caller handles it separately
    """
    try:
        yield
    except Exception as e:
        if isinstance(e, (EmbedrecError, *passing)):
            raise
        raise failed(reason(e)) from e


def decoded_or_none(decode: Callable[[], T]) -> T | None:
    """The result of `decode`, or None if it fails: for optional caches, which are rebuilt."""
    try:
        return decode()
    except Exception:
        return None


def checked_length(text: bytes, at_most: int) -> int:
    """A length or count that a file states in decimal digits, checked before anything is allocated.

    Raises ValueError if it is not a number or exceeds `at_most`.
    """
    if not text.isdigit() or len(text) > 19:  # int() also accepts signs, spaces and underscores
        raise ValueError(f"{text[:20]!r} is not a length")
    if int(text) > at_most:
        raise ValueError(f"the length {int(text)} exceeds the file")
    return int(text)
