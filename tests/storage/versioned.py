"""What the tests of versions share: small artifacts of known content, and a process that is killed at one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import FOLDERS, Artifact
from embedrec.storage.switch import Staged, switch
from embedrec.storage.workspace import Workspace

KILLED = 77
_STEPS = ("link", "rename", "replace")  # of which a killed writer may have done some


def put(root: Path, kind: str, name: str, text: str, **about: Any) -> Artifact:
    """An artifact of a workspace with one file."""
    folder = Workspace(root).folder(kind, name)
    with artifacts.writing(folder, kind, about) as draft:
        draft.path("a").write_text(text)
    return artifacts.read(folder, kind)


def stage(root: Path, text: str, *names: str) -> list[Staged]:
    """New artifacts of all kinds and the given names, in the workspace .staging."""
    staged = []
    for kind in FOLDERS:
        for name in names or ("x",):
            staged.append(Staged(put(root / ".staging", kind, name, text), current(root, kind, name)))
    return staged


def switched(root: Path, texts: str, *, command: str = "refresh") -> Path:
    """The workspace, after artifacts x of the first character and a switch to each of the others."""
    for kind in FOLDERS:
        put(root, kind, "x", texts[0])
    for text in texts[1:]:
        switch(Workspace(root), stage(root, text), command=command)
        shutil.rmtree(root / ".staging")
    return root


def current(root: Path, kind: str, name: str = "x") -> Artifact | None:
    return Workspace(root).named(kind, name)


def texts(root: Path, name: str = "x") -> list[str | None]:
    """The content of the artifacts of a name that a reader of the workspace sees."""
    found = (current(root, kind, name) for kind in FOLDERS)
    return [None if artifact is None else artifact.path("a").read_text() for artifact in found]


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run `work` in a process that ends without cleaning up before its step of that number; whether it got there."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _kill_at(step)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED)
    return code == KILLED


def _kill_at(step: int) -> None:
    done = 0

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done == step:
                os._exit(KILLED)
            return call(*args, **kwargs)

        return counted

    for name in _STEPS:
        setattr(os, name, counting(getattr(os, name)))
    atomic.exchange_folders = counting(atomic.exchange_folders)
