"""Runs of studies: what is skipped and why, what is done again, and that a killed run ends as one that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import ArtifactError, SettingsError, TargetNotMet
from embedrec.experiments import steps
from embedrec.experiments.run_records import record_file
from embedrec.experiments.runner import plan, run_experiment
from embedrec.experiments.step import Experiment, StepContext, identity
from embedrec.models.serialization import load_item_vectors
from embedrec.storage import artifacts
from embedrec.storage.workspace import FOLDERS
from tests.experiments.conftest import LIGHT, Opened

Finished = tuple[Experiment, StepContext]
NAMES = [
    "prepare", "split", "train popular", "train vectors", "train cooccurrence", "index vectors-flat",
    "evaluate vectors", "compare", "export similar.txt", "tables",
]  # fmt: skip


def done(experiment: Experiment, context: StepContext, **options: Any) -> list[str]:
    """The names of the steps that a run did."""
    return [p.step for p in run_experiment(experiment, context, **options) if p.does == "run"]


def why(experiment: Experiment, context: StepContext, **options: Any) -> dict[str, str]:
    """What a run would do: step → "run", "skip" or "may run", and why."""
    return {p.step: f"{p.does}: {p.why}" for p in plan(experiment, context, **options) if p.does != "skip"}


def test_all_at_first_and_nothing_after(opened: Opened) -> None:
    experiment, context = opened(LIGHT)
    assert why(experiment, context) == dict.fromkeys(NAMES, "run: never done")
    assert done(experiment, context) == NAMES
    assert why(experiment, context) == {}
    assert done(experiment, context) == []
    for folder in [f for kind in FOLDERS for f in context.workspace.folders(kind)]:
        artifacts.read(folder).check()
    assert len((context.workspace.root / "similar.txt").read_text().splitlines()) == 48


def test_what_the_figures_say(finished: Finished) -> None:
    """The comparison of an experiment is that of the command's own functions."""
    from embedrec.evaluation.evaluate import EvaluationSettings
    from embedrec.models.serialization import load_model
    from embedrec.workflows.evaluate import evaluate_task, open_evaluation_task

    _, context = finished
    said = json.loads((context.folder / "compare" / "comparison.json").read_text())
    assert sorted(row["model"] for row in said["rows"]) == ["popular", "vectors"]
    trial = open_evaluation_task(context.workspace.find("sessions", "mpd-random"))
    result = evaluate_task(
        trial,
        load_model(context.workspace.find("model", "vectors")),
        EvaluationSettings((5, 10), not trial.has_repeats(), draws=20),
    )
    assert said["metrics"]["vectors"]["mrr@10"] == result.metrics["mrr@10"]
    assert sum(line["questions"] for line in said["by_length"]["vectors"]) == len(result.test_cases)


def test_exports_take_what_the_command_takes(opened: Opened, finished: Finished) -> None:
    _, context = finished
    more = '[[export]]\nfile = "near.tsv"\nindex = "vectors-flat"\nn = 3\nmin_score = 0.5\nmutual = true\n'
    experiment, _ = opened(LIGHT + more)
    assert done(experiment, context) == ["export near.tsv"]
    lines = [line.split("\t") for line in (context.workspace.root / "near.tsv").read_text().splitlines()]
    assert lines and max(int(rank) for _, rank, *_ in lines if rank.isdecimal()) <= 3


@pytest.mark.parametrize("name", ["items.vec", "items.bin"])
def test_exports_of_vectors(opened: Opened, finished: Finished, name: str) -> None:
    from embedrec.vectors.file_formats import load_vectors

    experiment, context = opened(LIGHT + f'[[export]]\nfile = "{name}"\nmodel = "vectors"\n')
    assert done(experiment, context) == [f"export {name}"]
    written, model = load_vectors(context.workspace.root / name), context.workspace.find("model", "vectors")
    vectors = load_item_vectors(model)
    assert set(written.vocab.ids) == set(vectors.vocab.ids)
    assert (written.vectors == vectors.vectors[vectors.vocab.rows(written.vocab.ids)]).all()
    assert why(experiment, context) == {}


def test_indexes_keep_promises(opened: Opened, finished: Finished) -> None:
    more = '[[index]]\nmodel = "vectors"\ntarget_recall = ".9@5"\nmax_ram = "1G"\n'
    experiment, context = opened(LIGHT + more + 'name = "promised"\n')
    assert done(experiment, context) == ["index promised"]
    facts = context.workspace.find("index", "promised").about["facts"]
    assert facts["promise"] == {"recall": 0.9, "k": 5, "p95_ms": None, "ram": 1 << 30} and facts["recall@5"] >= 0.9
    experiment, context = opened(LIGHT + (more + 'name = "small"\n').replace('"1G"', '"1K"'))
    with pytest.raises(TargetNotMet, match="step index small: "):
        run_experiment(experiment, context)


def test_the_best_of_a_grid_is_trained(finished: Finished) -> None:
    _, context = finished
    lines = (context.folder / "grids" / "vectors.csv").read_text().splitlines()
    assert lines[0].startswith("window,min_count,hit_rate@5,")
    assert len(lines) == 5
    reached = [float(dict(zip(lines[0].split(","), line.split(","), strict=True))["mrr@10"]) for line in lines[1:]]
    assert reached == sorted(reached, reverse=True)
    settings = context.workspace.find("model", "vectors").about["settings"]
    assert lines[1].startswith(f"{settings['window']},{settings['min_count']},")


def test_a_wider_grid_keeps_what_was_tried(opened: Opened, finished: Finished) -> None:
    experiment, context = finished
    tried: list[Any] = []
    experiment, context = opened(LIGHT.replace("window = [2, 5]", "window = [2, 5, 9]"))
    before = {f.name: f.stat().st_mtime_ns for f in (context.folder / "grids" / "vectors").iterdir()}
    run_experiment(experiment, context, report=lambda event, **said: tried.append(said) if event == "tried" else None)
    assert len(tried) == 6
    after = {f.name: f.stat().st_mtime_ns for f in (context.folder / "grids" / "vectors").iterdir()}
    assert len(after) == 6 and before.items() <= after.items()


def test_the_tables(finished: Finished) -> None:
    _, context = finished
    shown, data = json.loads((context.folder / "tables" / "tables.json").read_text())
    metrics = json.loads((context.folder / "compare" / "comparison.json").read_text())["metrics"]
    popular, vectors = (f"{metrics[name]['recall@10']:.4f}" for name in ("popular", "vectors"))
    mrr = [f"{metrics[name]['mrr@10']:.4f}" for name in ("popular", "vectors")]
    heads = ["", "recall@10", "recall@10, article", "mrr@10", "mrr@10, article"]
    assert [list(row) for row in shown["rows"]] == [heads, heads]
    assert [list(row.values()) for row in shown["rows"]] == [
        ["most popular", popular, ".1", mrr[0], ".2"],
        ["word2vec", vectors, "–", mrr[1], "–"],
    ]
    assert [list(row.values()) for row in data["rows"]] == [["playlists", "300", "400"], ["asked", "60", "–"]]
    text = (context.folder / "tables" / "tables.md").read_text()
    assert text.startswith("## What comes next\n\n|  | recall@10 | recall@10, article |")
    assert "\nNothing is like it.\n" in text


CHANGES = [
    ("share = 0.2", "share = 0.3", "split", "settings changed: settings.share"),
    ("dim = 8", "dim = 9", "train vectors", "settings changed: grid"),
    ('type = "flat"', 'type = "flat"\nmetric = "dot"', "index vectors-flat", "settings changed: metric"),
    ("n = 5", "n = 6", "export similar.txt", "settings changed: n"),
    ("draws = 20", "draws = 30", "compare", "settings changed: ask.draws"),
    ("Nothing is like it", "Something is", "tables", "settings changed: tables"),
]


@pytest.mark.parametrize(("old", "new", "step", "reason"), CHANGES, ids=[c[2] for c in CHANGES])
def test_a_change_is_found(opened: Opened, finished: Finished, old: str, new: str, step: str, reason: str) -> None:
    _, context = finished
    changed, _ = opened(LIGHT.replace(old, new))
    planned = why(changed, context)
    assert planned[step] == f"run: {reason}"
    ran = done(changed, context)
    assert step in ran and set(ran) <= set(planned)
    assert why(changed, context) == {}


def test_equal_settings_written_otherwise_are_no_change(opened: Opened, finished: Finished) -> None:
    _, context = finished
    same, _ = opened(LIGHT.replace("dim = 8, epochs = 2", 'epochs = "2", dim = 8, negative = 5'))
    assert why(same, context) == {}


def test_touched_files_are_read_again_and_no_more(opened: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    """Other times of change, equal content: the sessions come out the same, and nothing after them is done."""
    data = tmp_path / "data"
    shutil.copytree(toy_mpd, data / "mpd")
    experiment, context = opened(LIGHT.replace("{data}", str(data / "mpd")))
    run_experiment(experiment, context)
    for file in (data / "mpd" / "train").iterdir():
        os.utime(file, (1, 1))
    paths = f"input changed: {data / 'mpd' / 'train'}"
    assert why(experiment, context) == {
        "prepare": f"run: {paths}",
        "split": "may run: after prepare",
        **{f"train {name}": "may run: after split" for name in ("popular", "vectors", "cooccurrence")},
        "index vectors-flat": "may run: after train vectors",
        "evaluate vectors": "may run: after train vectors",
        "compare": "may run: after train popular, train vectors",
        "export similar.txt": "may run: after train cooccurrence",
        "tables": "may run: after split, compare",
    }
    assert done(experiment, context) == ["prepare"]


def test_other_data_are_another_study(opened: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(toy_mpd, data)
    experiment, context = opened(LIGHT.replace("{data}", str(data)))
    run_experiment(experiment, context)
    (file,) = (data / "train").iterdir()
    slice_ = json.loads(file.read_text())
    slice_["playlists"] = slice_["playlists"][:-30]
    file.write_text(json.dumps(slice_))
    assert done(experiment, context) == NAMES


def test_what_is_gone_damaged_or_replaced_is_made_again(finished: Finished) -> None:
    experiment, context = finished
    root = context.workspace.root
    shutil.rmtree(root / "models" / "popular")
    (root / "indexes" / "vectors-flat" / "index.faiss").write_bytes(b"")
    shutil.rmtree(root / "models" / "cooccurrence")
    shutil.copytree(root / "models" / "vectors", root / "models" / "cooccurrence")
    assert why(experiment, context) == {
        "train popular": f"run: {root}/models/popular is missing or damaged",
        "train cooccurrence": f"run: {root}/models/cooccurrence was replaced",
        "index vectors-flat": f"run: {root}/indexes/vectors-flat is missing or damaged",
        "compare": "may run: after train popular",
        "export similar.txt": "may run: after train cooccurrence",
        "tables": "may run: after compare",
    }
    assert done(experiment, context) == ["train popular", "train cooccurrence", "index vectors-flat"]
    (root / "similar.txt").write_text("mine\n")
    assert why(experiment, context) == {"export similar.txt": f"run: {root}/similar.txt was replaced"}


def test_another_version_makes_all_anew(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, context = finished
    monkeypatch.setattr("embedrec.experiments.run_records.__version__", "99")
    assert set(why(experiment, context).values()) == {"run: made by version 0.1.0"}


def test_settings_that_leave_arrays_alone_count(opened: Opened) -> None:
    """Models of session kNN keep the same arrays, however many neighbours they listen to."""
    text = LIGHT.replace('model = "popular"\n', 'model = "sknn"\nset = {neighbours = 5}\nname = "popular"\n', 1)
    experiment, context = opened(text)
    run_experiment(experiment, context)
    changed, _ = opened(text.replace("neighbours = 5", "neighbours = 50"))
    assert done(changed, context) == ["train popular", "compare", "tables"]


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"done": true}', '{"done": true, "key": 3}', "\xff"])
def test_torn_records_mean_never_done(finished: Finished, torn: str) -> None:
    experiment, context = finished
    record_file(experiment.steps[2], context).write_text(torn, encoding="latin-1")
    assert why(experiment, context)["train popular"] == "run: never done"


def test_from_a_step_on(finished: Finished) -> None:
    experiment, context = finished
    planned = why(experiment, context, start="compare")
    assert planned == dict.fromkeys(("compare", "export similar.txt", "tables"), "run: --from compare")
    assert done(experiment, context, start="train cooccurrence") == NAMES[4:]
    assert done(experiment, context, start="train") == NAMES[2:]
    for call in (plan, run_experiment):
        with pytest.raises(SettingsError, match="no step is called 'compar'; did you mean 'compare'"):
            call(experiment, context, start="compar")


def test_from_a_step_on_is_kept_in_mind(finished: Finished) -> None:
    """What --from asked for is done by the next run, where the first one was ended."""
    experiment, context = finished

    def report(event: str, **said: Any) -> None:
        if event == "begin" and said["step"] == "evaluate vectors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, context, start="index", report=report)
    assert why(experiment, context) == dict.fromkeys(NAMES[6:], "run: never done")
    assert done(experiment, context) == NAMES[6:]


def test_from_goes_on_with_a_step_that_was_interrupted(opened: Opened) -> None:
    experiment, context = opened(BRIEF)

    def report(event: str, **said: Any) -> None:
        if event == "epoch" and "examples_per_second" in said and said["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, context, report=report)
    told: list[str] = []
    run_experiment(experiment, context, start="train", report=lambda event, **said: told.append(event))
    assert "resumed" in told


def test_what_the_system_says_of_a_step_names_it(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, context = opened(BRIEF)
    error: OSError = IsADirectoryError(21, "Is a directory", "models")

    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(steps.Prepare, "run", run)
    with pytest.raises(ArtifactError) as said:
        run_experiment(experiment, context)
    assert str(said.value) == "step prepare: operating system error: Is a directory (models); no partial output remains"
    error = BrokenPipeError(32, "Broken pipe")  # of stderr, which the command line knows what to do about
    with pytest.raises(BrokenPipeError):
        run_experiment(experiment, context)


def test_errors_name_the_step(opened: Opened) -> None:
    experiment, context = opened(LIGHT.replace('fact = "sessions"', 'fact = "sesions"'))
    with pytest.raises(SettingsError) as error:
        run_experiment(experiment, context)
    message = "step tables: no fact of the sessions is called 'sesions'; did you mean 'sessions'"
    assert str(error.value).startswith(message)
    assert why(experiment, context) == {"tables": "run: was interrupted"}


def test_two_runs_at_once(opened: Opened) -> None:
    experiment, context = opened(LIGHT)

    def again(event: str, **said: Any) -> None:
        if event == "begin" and said["step"] == "split":
            run_experiment(experiment, context)

    with pytest.raises(ArtifactError, match="another run of this experiment is active"):
        run_experiment(experiment, context, report=again)


def outcome(experiment: Experiment, context: StepContext) -> dict[str, Any]:
    """What every step has written, whatever the hour."""
    return {step.id: identity(step.path(context)) for step in experiment.steps}


SCRIPT = """
import sys
from pathlib import Path
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.runner import run_experiment, step_context
from embedrec.storage.workspace import Workspace
experiment = read_experiment(Path(sys.argv[1]), data=sys.argv[2])
print("begun", flush=True)
run_experiment(experiment, step_context(experiment, Workspace(Path(sys.argv[3]))))
"""


def test_killed_at_any_moment_it_goes_on(opened: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    """Killed twice at random moments; the third run, left alone, ends with what an uninterrupted one has."""
    experiment, whole = opened(LIGHT)
    started = time.monotonic()
    run_experiment(experiment, whole)
    seconds = time.monotonic() - started
    _, context = opened(LIGHT, folder="killed")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "small.toml"), str(toy_mpd), str(context.workspace.root)]
    for share in np.random.default_rng(int.from_bytes(os.urandom(4))).uniform(0.1, 1.0, 2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        time.sleep(share * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run_experiment(experiment, context)
    assert outcome(experiment, context) == outcome(experiment, whole)
    assert why(experiment, context) == {}


BRIEF = """\
[prepare]
source = "mpd"
paths = ["{data}/train"]
[[train]]
model = "two-tower"
set = {dim = 8, epochs = 3}
"""


def test_a_training_goes_on_where_it_was(opened: Opened) -> None:
    experiment, whole = opened(BRIEF)
    run_experiment(experiment, whole)
    _, context = opened(BRIEF, folder="stopped")
    told: list[tuple[str, Any]] = []

    def report(event: str, **said: Any) -> None:
        told.append((event, said.get("epoch")))
        if event == "epoch" and "examples_per_second" in said and said["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, context, report=report)
    told.clear()
    assert why(experiment, context)["train two-tower"] == "run: was interrupted"
    run_experiment(experiment, context, report=lambda event, **said: told.append((event, said.get("epoch"))))
    assert ("resumed", 2) in told
    assert outcome(experiment, context) == outcome(experiment, whole)
    assert not (context.workspace.root / "checkpoints" / "two-tower").exists()
