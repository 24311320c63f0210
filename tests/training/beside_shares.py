"""One of two processes that train on shares, for `test_shares`; the first writes what came out."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedrec.data.session_shares import session_share
from embedrec.models import recipe_class
from embedrec.training.context import TrainingContext
from embedrec.training.distributed import Processes, join_processes


class Stopped(Exception):  # noqa: N818 (it is no error)
    """The training is to stop here."""


def stop_after_an_epoch(event: str, **numbers: Any) -> None:
    if event == "epoch":
        raise Stopped


def fit(settings: dict[str, Any], folder: Path, processes: Processes) -> np.ndarray:
    """The vectors of a recipe; of one to "stop" after a stop and a resumption."""
    stop = settings.pop("stop", False)
    recipe = recipe_class(settings.pop("recipe"))(**settings)
    sessions = session_share(folder / "sessions", processes.rank, processes.count)
    context = TrainingContext(processes=processes, memory=1 << 30)
    if stop:
        context = replace(context, checkpoint=folder / "checkpoint")
        try:
            recipe.fit(sessions, seed=5, report=stop_after_an_epoch, context=context)
        except Stopped:
            processes.sum(torch.zeros(1))  # the first process has written the checkpoint
        context = replace(context, resume=True)
    arrays = recipe.fit(sessions, seed=5, context=context).arrays
    return np.asarray(arrays["items" if "items" in arrays else "input"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    with join_processes("cpu") as together:
        folder = Path(sys.argv[2])
        for number, one in enumerate(json.loads(sys.argv[1])):
            vectors = fit(one, folder, together)
            if together.rank == 0:
                np.save(folder / f"{number}.npy", vectors)
