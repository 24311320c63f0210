"""Reports a few long sessions that dominate work quadratic in session length."""

from __future__ import annotations

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.progress import Report

LONG_SESSION = 1000  # items; longer sessions count as long
MANY_PAIRS = 1 << 31  # pairs; some seconds of work
_ADVICE = "prepare the sessions again with --max-length and --long cut to keep their last rows"


def report_long(sessions: Sessions, lengths: np.ndarray, reach: int, report: Report) -> None:
    """Report long sessions if they hold most of the pairs, and more than 2³¹.

    lengths  (S,) items of each session that are paired
    reach    largest distance of the items of a pair; 0 for no limit

    `report` is called as report("long_sessions", sessions=, share=, pairs=, longest=, items=, advice=): number of
    long sessions, their share of all pairs, their pairs, the id of the longest session (its number if ids are not
    loaded) and its items.
    """
    apart = lengths - 1 if not reach else np.minimum(lengths - 1, 2 * reach)
    pairs = lengths * np.maximum(apart, 0).astype(np.float64)
    long = lengths > LONG_SESSION
    of_long = float(pairs[long].sum())
    if of_long <= max(MANY_PAIRS, pairs.sum() / 2):
        return
    longest = int(np.argmax(lengths))
    report(
        "long_sessions",
        sessions=int(long.sum()),
        share=of_long / float(pairs.sum()),
        pairs=of_long,
        longest=sessions.ids[longest : longest + 1].tolist()[0],
        items=int(lengths[longest]),
        advice=_ADVICE,
    )
