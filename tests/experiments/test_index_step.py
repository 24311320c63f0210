"""The step [[index]]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from embedrec.errors import SettingsError, TargetNotMet
from embedrec.experiments import index_step
from embedrec.experiments.index_step import Index
from embedrec.experiments.runner import run_experiment
from embedrec.experiments.step import Links, StepContext
from embedrec.index.search_settings import SearchSettings
from embedrec.progress import quiet
from embedrec.workflows.build_index import IndexSettings
from tests.experiments.conftest import LIGHT, Finished, Opened, steps_run


def test_an_index_meets_its_target_or_the_step_fails(open_experiment: Opened, finished: Finished) -> None:
    index_table = '[[index]]\nmodel = "vectors"\ntarget_recall = ".9@5"\nmax_ram = "1G"\n'
    experiment, context = open_experiment(LIGHT + index_table + 'name = "measured"\n')
    assert steps_run(experiment, context) == ["index measured"]
    measurements = context.workspace.find("index", "measured").about["facts"]
    assert (
        measurements["promise"] == {"recall": 0.9, "k": 5, "p95_ms": None, "ram": 1 << 30}
        and measurements["recall@5"] >= 0.9
    )
    experiment, context = open_experiment(LIGHT + (index_table + 'name = "small"\n').replace('"1G"', '"1K"'))
    with pytest.raises(TargetNotMet, match="step index small: "):
        run_experiment(experiment, context)


def test_an_index_of_a_model_is_built(svd_context: StepContext) -> None:
    Index(model="svd", type="flat", name="svd-flat", links=Links(sessions="log")).run(svd_context, quiet)
    assert svd_context.workspace.find("index", "svd-flat").about["spec"] == "Flat"


@pytest.mark.parametrize("changes", [{"popularity": 0.5}, {"metric": "dot"}], ids=str)
def test_keys_are_passed_to_the_workflow(
    changes: dict[str, Any], svd_context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[IndexSettings] = []
    monkeypatch.setattr(
        index_step, "build_index_artifact", lambda model, path, settings, **_: received.append(settings)
    )
    links = Links(sessions="log")
    Index(model="svd", type="ivf", name="x", nprobe=3, seed=7, memory="1G", links=links, **changes).run(
        svd_context, quiet
    )
    assert received == [IndexSettings("ivf", search=SearchSettings(nprobe=3), seed=7, memory=1 << 30, **changes)]


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Index(model="ar", seed=-1), "seed must be a whole number from 0 to "),
        (lambda: Index(model="a", nprobe=0).search, "nprobe must be at least 1, but is 0"),
        (lambda: Index(model="a", max_p95="fast").target, "a time must be a number with us, ms or s"),
    ],
)
def test_invalid_values_are_refused(create: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        create()
    assert str(error.value).startswith(message)
