"""A refresh that is killed leaves the versions of yesterday or those of today, whole, and can be called again.

The models need no FAISS, whose threads do not survive in a forked process; scripts/bench/refresh_kills.py kills whole
refreshes with an index at random moments.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh.run import refresh
from embedrec.workflows.refresh.settings import RefreshSettings
from tests.storage.versioned import killed_at
from tests.workflows.refresh.nights import copy_of, digests, first_night, night_file

LOOSE = RefreshSettings(gate=False, validate=False)
_EVERY = 9  # steps


def fingerprints(workspace: Workspace) -> dict[str, str]:
    digests(workspace)  # checks all files
    return {
        f"{kind} {a.name}": a.fingerprint for kind in ("sessions", "model", "index") for a in workspace.artifacts(kind)
    }


def test_a_kill_at_any_step_leaves_yesterday_or_today(tmp_path: Path) -> None:
    start = first_night(tmp_path / "start", ["cooccurrence", "popular"])
    night = night_file(tmp_path)
    old = fingerprints(start)
    whole = copy_of(start, tmp_path / "whole")
    refresh(whole, [night], LOOSE)
    new = fingerprints(whole)
    assert old.keys() == new.keys() and not set(old.values()) & set(new.values())
    seen, step = [], 1
    while True:
        workspace = copy_of(start, tmp_path / str(step))
        killed = killed_at(step, partial(refresh, workspace, [night], LOOSE))
        state = fingerprints(workspace)
        assert state in (old, new)
        seen.append(state == new)
        assert refresh(workspace, [night], LOOSE).switched == (state == old)
        assert fingerprints(workspace) == new
        assert not any((workspace.root / ".refresh").iterdir())
        if not killed:
            break
        step += _EVERY
    assert seen == sorted(seen) and not seen[0] and seen[-1] and step > 5 * _EVERY
