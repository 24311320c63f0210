"""The order of a publish, the same for every service: clean up, recognise, load beside, switch, drop what is old."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from embedrec.errors import PublishError
from embedrec.progress import Report, quiet
from embedrec.publish.content import PublishContent

Size = Mapping[str, int]  # what was written, by name; "bytes" among them


@dataclass(frozen=True)
class Generation:
    """A whole generation at a target.

    number       1, 2, …: in the order of writing
    fingerprint  of its content, see `PublishContent.fingerprint`
    served       whether readers are led to it
    retired      seconds since they no longer are; 0 while it is served
    source       the index or model that it was made from; "" where the target does not know
    """

    number: int
    fingerprint: str
    served: bool
    retired: float = 0.0
    source: str = ""


class Target(AbstractContextManager["Target"], Protocol):
    """A service that generations are written to.

    Used as a context manager, which connects and, where the service can tell, keeps a second publish out. Every call
    raises PublishError for a service that cannot be reached or refuses; secrets of its URL stand in no message.
    """

    def reading(self) -> AbstractContextManager[Target]:
        """Connect to look at what is there; keeps no publish out, and changes nothing."""
        ...

    @property
    def layout(self) -> str:
        """How content is laid out there: part of the fingerprint."""
        ...

    def check(self, publication: PublishContent) -> None:
        """Raises SettingsError for content that cannot be written there; does not connect."""
        ...

    def measured(self, publication: PublishContent) -> Size:
        """What `write` would write; neither connects nor writes."""
        ...

    def clean(self) -> int:
        """Remove generations that a killed publish left half-loaded; how many there were."""
        ...

    def generations(self) -> list[Generation]:
        """The whole generations."""
        ...

    def missing(self, number: int, publication: PublishContent) -> int:
        """How much of a generation with this content is no longer there, such as keys that were evicted; 0 for none."""
        ...

    def lost(self, number: int) -> int:
        """The same as far as the target knows by itself what a generation held."""
        ...

    def write(self, publication: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        """Load a new generation beside the others and switch readers to it in one step: its number and size.

        The size is empty where another publish wrote the same meanwhile.
        """
        ...

    def switch(self, number: int) -> None:
        """Lead readers to a generation that is there already, in one step."""
        ...

    def drop(self, number: int) -> None:
        """Remove a generation that is not served."""
        ...


@dataclass(frozen=True)
class Published:
    """How a publish ended: the generation that is served, and what was written, nothing where it was there already."""

    generation: int
    written: Size = field(default_factory=dict)


def publish(
    publication: PublishContent, target: Target, *, keep: int = 1, grace: float = 10.0, report: Report = quiet
) -> Published:
    """Publish: afterwards the target serves exactly this content, and readers met the old or the new at every moment.

    keep   generations that were served before and stay, the latest of them
    grace  seconds that others outlive the switch, for readers who had looked up the old one

    Content that is served already is left alone; that of a generation which was kept is switched to. Where some of it
    is no longer there, it is written again. A publish that was killed at any moment leaves the old generation served,
    and the next one removes what it left. Reports "retry", "cleaned", "incomplete", "waiting", "dropped". Raises
    PublishError.
    """
    target.check(publication)
    fingerprint = publication.fingerprint(target.layout)
    with target:
        left = target.clean()
        if left:
            report("cleaned", half_loaded=left)
        same = _whole(publication, target, fingerprint, report)
        if same is None:
            number, written = target.write(publication, fingerprint, report)
        else:
            number, written = same.number, {}
            if not same.served:
                target.switch(number)
        for old in _due(target.generations(), keep):
            wait = grace - old.retired
            if wait > 0:
                report("waiting", seconds=round(wait, 1))
                time.sleep(wait)
            target.drop(old.number)
            report("dropped", generation=old.number)
    return Published(number, written)


def generations_at(target: Target) -> list[Generation]:
    """The whole generations of a target, by number. Raises PublishError."""
    with target.reading():
        return sorted(target.generations(), key=lambda g: g.number)


def rollback(target: Target, number: int | None = None) -> tuple[int, int]:
    """Lead readers back to a generation that was kept, in one step: its number, and that of the one served until now.

    number  of the generation; None takes the one that was served last, so that a second rollback undoes the first

    Nothing is written or dropped. Raises PublishError where there is no such generation, it is served already, or some
    of it was lost.
    """
    with target:
        found = sorted(target.generations(), key=lambda g: g.number)
        served = next((g.number for g in found if g.served), 0)
        kept = [g for g in found if not g.served]
        if number is not None and number == served:
            raise PublishError(f"generation {number} is served already; --list shows all that there are")
        if not kept:
            raise PublishError("there is no older generation to go back to; publish what it held again")
        chosen = min(kept, key=lambda g: (g.retired, -g.number))
        if number is not None:
            named = [g for g in kept if g.number == number]
            if not named:
                there = ", ".join(str(g.number) for g in found)
                raise PublishError(f"there is no generation {number}; there are {there}")
            chosen = named[0]
        lost = target.lost(chosen.number)
        if lost:
            raise PublishError(f"generation {chosen.number} is not whole, {lost:,} of it were lost; publish it again")
        target.switch(chosen.number)
    return chosen.number, served


def _whole(publication: PublishContent, target: Target, fingerprint: str, report: Report) -> Generation | None:
    """The generation that holds this content, the one that is served ahead; those that lost some are reported."""
    for found in sorted(target.generations(), key=lambda g: (not g.served, g.number)):
        if found.fingerprint == fingerprint:
            missing = target.missing(found.number, publication)
            if not missing:
                return found
            report("incomplete", generation=found.number, missing=missing)
    return None


def _due(generations: list[Generation], keep: int) -> list[Generation]:
    """Those that have to go, the one that was retired first ahead; also those of the content that is served."""
    old = sorted((g for g in generations if not g.served), key=lambda g: (-g.retired, g.number))
    served = {g.fingerprint for g in generations if g.served}
    others = [g for g in old if g.fingerprint not in served]
    kept = others[max(0, len(others) - keep) :]
    return [g for g in old if g not in kept]
