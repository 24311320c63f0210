"""One of the processes of `test_processes`: trains what it is told, and the first writes what came out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedrec.models import recipe_class
from embedrec.training.context import TrainingContext
from embedrec.training.distributed import Processes, join_processes
from embedrec.training.loop import train
from embedrec.training.settings import TrainingSettings
from tests.training.toy import LineLearner, clustered_sessions


def curves(settings: list[dict[str, Any]], context: TrainingContext) -> tuple[list[list[float]], list[np.ndarray]]:
    """The losses of the epochs of recipes and of the line, and the items and weights that came out."""
    torch.set_num_threads(1)
    losses: list[list[float]] = []

    def report(event: str, **numbers: Any) -> None:
        if event == "epoch":
            losses[-1].append(numbers["loss"])

    arrays = []
    for one in settings:
        losses.append([])
        recipe = recipe_class(one["recipe"])(**{key: value for key, value in one.items() if key != "recipe"})
        model = recipe.fit(clustered_sessions(), seed=1, report=report, context=context)
        arrays.append(model.arrays["items"])
    losses.append([])
    line = LineLearner(batch=9)  # the last batch has 3, the smallest part 1
    train(
        line, TrainingSettings(epochs=3, patience=None, clip=0.5), seed=0, context=context, report=report, identity={}
    )
    lone = LineLearner(batch=1)  # a process without examples
    train(lone, TrainingSettings(epochs=1, patience=None), seed=0, context=context, report=report, identity={})
    tables = [learner.module.state_dict()["table"].numpy() for learner in (line, lone)]
    return losses, [*arrays, *tables]


if __name__ == "__main__":
    with join_processes("cpu") as processes:
        assert isinstance(processes, Processes)
        losses, arrays = curves(json.loads(sys.argv[1]), TrainingContext(processes=processes))
    if processes.rank == 0:
        out = Path(sys.argv[2])
        out.joinpath("losses.json").write_text(json.dumps(losses))
        for number, array in enumerate(arrays):
            np.save(out / f"{number}.npy", array)
