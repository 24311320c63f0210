"""The steps of a publish, the same for every service: clean up, find equal content, load, switch, drop old ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from embedrec.errors import PublishError
from embedrec.progress import Report, quiet
from embedrec.publish.content import PublishContent

_SHOWN = 12  # characters of an id in messages
Size = Mapping[str, int]  # amounts written, by name, among them "bytes"


@dataclass(frozen=True)
class Generation:
    """A complete generation at a target.

    number       1, 2, … in the order of writing
    fingerprint  of its content, see `PublishContent.fingerprint`
    served       whether readers get it
    retired      seconds since it was replaced; 0 while it is served
    source       the index or model of its content; "" if the target does not store it
    about        what the target stores about its content, see `PublishContent.about`
    """

    number: int
    fingerprint: str
    served: bool
    retired: float = 0.0
    source: str = ""
    about: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


class Target(AbstractContextManager["Target"], Protocol):
    """A service to which generations are written.

    As a context manager it connects and, if the service supports it, excludes a second publisher. Every call raises
    PublishError if the service cannot be reached or refuses; secrets of its URL appear in no message.
    """

    def readonly(self) -> AbstractContextManager[Target]:
        """Connect to read; excludes no publisher and changes nothing."""
        ...

    @property
    def layout(self) -> str:
        """The layout of the content, part of its fingerprint."""
        ...

    def check(self, content: PublishContent) -> None:
        """Raises SettingsError for content that the target cannot contain; does not connect."""
        ...

    def measure(self, content: PublishContent) -> Size:
        """The size that `write` would write; neither connects nor writes."""
        ...

    def clean(self) -> int:
        """Remove partial generations of a killed publish; returns their number."""
        ...

    def generations(self) -> list[Generation]:
        """The complete generations."""
        ...

    def missing(self, number: int, content: PublishContent) -> int:
        """Number of missing entries of a generation with this content, such as evicted keys."""
        ...

    def lost(self, number: int) -> int:
        """Number of missing entries by the target's own records."""
        ...

    def write(self, content: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        """Load a new generation next to the others and switch readers to it atomically; returns its number and size.

        The size is empty if another publisher wrote the same content in the meantime.
        """
        ...

    def switch(self, number: int) -> None:
        """Switch readers to an existing generation, atomically."""
        ...

    def drop(self, number: int) -> None:
        """Remove a generation that is not served."""
        ...


@dataclass(frozen=True)
class Published:
    """The outcome of a publish: the generation that is served, and the size written, empty if it already existed."""

    generation: int
    written: Size = field(default_factory=dict)


def publish(
    content: PublishContent,
    target: Target,
    *,
    keep: int = 1,
    grace: float = 10.0,
    new_space: bool = False,
    report: Report = quiet,
) -> Published:
    """Publish: afterwards the target serves exactly this content; at every moment readers get the old or the new one.

    keep       number of previous generations to keep, the latest ones
    grace      seconds before other generations are dropped, for readers that have already looked up the old one
    new_space  whether the vectors may be in another space than the served ones

    Content that is served already is not written again; content of a kept generation is switched to. A generation with
    missing entries is written again. A killed publish leaves the old generation served, and the next publish removes
    its partial data. Reports "retry", "cleaned", "incomplete", "waiting", "dropped". Raises PublishError,
    also for content that readers of the served one do not expect, see `check_successor`.
    """
    target.check(content)
    fingerprint = content.fingerprint(target.layout)
    with target:
        partial = target.clean()
        if partial:
            report("cleaned", half_loaded=partial)
        check_successor(next((g for g in target.generations() if g.served), None), content, new_space=new_space)
        same = _find_equal(content, target, fingerprint, report)
        if same is None:
            number, written = target.write(content, fingerprint, report)
        else:
            number, written = same.number, {}
            if not same.served:
                target.switch(number)
        for old in _expired(target.generations(), keep):
            wait = grace - old.retired
            if wait > 0:
                report("waiting", seconds=round(wait, 1))
                time.sleep(wait)
            target.drop(old.number)
            report("dropped", generation=old.number)
    return Published(number, written)


def check_successor(served: Generation | None, content: PublishContent, *, new_space: bool) -> None:
    """Raises PublishError for lists of another kind than the served ones, and for vectors of another space.

    Generations of earlier versions do not name their space; nothing is known about them.
    """
    if served is None:
        return
    of, space = served.about.get("of", "items"), served.about.get("space", "")
    if of != content.of:
        raise PublishError(
            f"generation {served.number} serves {of}, but this content is {content.of}; publish it elsewhere"
        )
    if content.vectors is None or not space or not content.space or new_space or space == content.space:
        return
    raise PublishError(
        f"the vectors are in another space ({content.space[:_SHOWN]}) than those of generation {served.number} "
        f"({space[:_SHOWN]}), so that readers could not compare them; align the model with `embedrec refresh`, or "
        "publish them with --new-space"
    )


def generations_at(target: Target) -> list[Generation]:
    """The complete generations of a target, by number. Raises PublishError."""
    with target.readonly():
        return sorted(target.generations(), key=lambda g: g.number)


def rollback(target: Target, number: int | None = None) -> tuple[int, int]:
    """Switch readers back to a kept generation, atomically; returns its number and the one served before.

    number  of the generation; None takes the one that was served last, so that a second rollback undoes the first

    Nothing is written or dropped. Raises PublishError if the generation does not exist, is served already, or has
    missing entries.
    """
    with target:
        generations = sorted(target.generations(), key=lambda g: g.number)
        served = next((g.number for g in generations if g.served), 0)
        kept = [g for g in generations if not g.served]
        if number is not None and number == served:
            raise PublishError(f"generation {number} is served already; --list shows all generations")
        if not kept:
            raise PublishError("there is no older generation to roll back to; publish its content again")
        chosen = min(kept, key=lambda g: (g.retired, -g.number))
        if number is not None:
            named = [g for g in kept if g.number == number]
            if not named:
                numbers = ", ".join(str(g.number) for g in generations)
                raise PublishError(f"there is no generation {number}; the generations are {numbers}")
            chosen = named[0]
        lost = target.lost(chosen.number)
        if lost:
            raise PublishError(f"generation {chosen.number} is incomplete (lost entries: {lost:,}); publish it again")
        target.switch(chosen.number)
    return chosen.number, served


def _find_equal(content: PublishContent, target: Target, fingerprint: str, report: Report) -> Generation | None:
    """A complete generation with this content, preferably the served one; incomplete ones are reported."""
    for generation in sorted(target.generations(), key=lambda g: (not g.served, g.number)):
        if generation.fingerprint == fingerprint:
            missing = target.missing(generation.number, content)
            if not missing:
                return generation
            report("incomplete", generation=generation.number, missing=missing)
    return None


def _expired(generations: list[Generation], keep: int) -> list[Generation]:
    """The generations to drop, the first retired first, including old copies of the served content."""
    old = sorted((g for g in generations if not g.served), key=lambda g: (-g.retired, g.number))
    served = {g.fingerprint for g in generations if g.served}
    others = [g for g in old if g.fingerprint not in served]
    kept = others[max(0, len(others) - keep) :]
    return [g for g in old if g not in kept]
