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
from embedrec.experiments import steps as works
from embedrec.experiments.run_records import _file
from embedrec.experiments.runner import carry_out, plan
from embedrec.experiments.step import StepContext, Study, identity
from embedrec.storage import artifacts
from embedrec.storage.workspace import FOLDERS
from embedrec.workflows import lineage
from tests.experiments.conftest import LIGHT, Opened

Finished = tuple[Study, StepContext]
NAMES = [
    "prepare", "split", "train popular", "train vectors", "train cooccurrence", "index vectors-flat",
    "evaluate vectors", "compare", "export similar.txt", "tables",
]  # fmt: skip


def done(study: Study, place: StepContext, **options: Any) -> list[str]:
    """The names of the steps that a run did."""
    return [p.step for p in carry_out(study, place, **options) if p.does == "run"]


def why(study: Study, place: StepContext, **options: Any) -> dict[str, str]:
    """What a run would do: step → "run", "skip" or "may run", and why."""
    return {p.step: f"{p.does}: {p.why}" for p in plan(study, place, **options) if p.does != "skip"}


def test_all_at_first_and_nothing_after(opened: Opened) -> None:
    study, place = opened(LIGHT)
    assert why(study, place) == dict.fromkeys(NAMES, "run: never done")
    assert done(study, place) == NAMES
    assert why(study, place) == {}
    assert done(study, place) == []
    for folder in [f for kind in FOLDERS for f in place.workspace.folders(kind)]:
        artifacts.read(folder).check()
    assert len((place.workspace.root / "similar.txt").read_text().splitlines()) == 48


def test_what_the_figures_say(finished: Finished) -> None:
    """The comparison of a study is that of the command's own functions."""
    from embedrec.evaluation.evaluate import EvaluationSettings
    from embedrec.models.serialization import load_model
    from embedrec.workflows.evaluate import ask, open_trial

    _, place = finished
    said = json.loads((place.folder / "compare" / "comparison.json").read_text())
    assert sorted(row["model"] for row in said["rows"]) == ["popular", "vectors"]
    trial = open_trial(place.workspace.find("sessions", "mpd-random"))
    result = ask(
        trial,
        load_model(place.workspace.find("model", "vectors")),
        EvaluationSettings((5, 10), trial.repeats(), draws=20),
    )
    assert said["metrics"]["vectors"]["mrr@10"] == result.metrics["mrr@10"]
    assert sum(line["questions"] for line in said["by_length"]["vectors"]) == len(result.questions)


def test_exports_take_what_the_command_takes(opened: Opened, finished: Finished) -> None:
    _, place = finished
    more = '[[export]]\nfile = "near.tsv"\nindex = "vectors-flat"\nn = 3\nmin_score = 0.5\nmutual = true\n'
    study, _ = opened(LIGHT + more)
    assert done(study, place) == ["export near.tsv"]
    lines = [line.split("\t") for line in (place.workspace.root / "near.tsv").read_text().splitlines()]
    assert lines and max(int(rank) for _, rank, *_ in lines if rank.isdecimal()) <= 3


@pytest.mark.parametrize("name", ["items.vec", "items.bin"])
def test_exports_of_vectors(opened: Opened, finished: Finished, name: str) -> None:
    from embedrec.vectors.file_formats import load_vectors

    study, place = opened(LIGHT + f'[[export]]\nfile = "{name}"\nmodel = "vectors"\n')
    assert done(study, place) == [f"export {name}"]
    written, model = load_vectors(place.workspace.root / name), place.workspace.find("model", "vectors")
    vectors = lineage.item_vectors(model)
    assert set(written.vocab.ids) == set(vectors.vocab.ids)
    assert (written.vectors == vectors.vectors[vectors.vocab.rows(written.vocab.ids)]).all()
    assert why(study, place) == {}


def test_indexes_keep_promises(opened: Opened, finished: Finished) -> None:
    more = '[[index]]\nmodel = "vectors"\ntarget_recall = ".9@5"\nmax_ram = "1G"\n'
    study, place = opened(LIGHT + more + 'name = "promised"\n')
    assert done(study, place) == ["index promised"]
    facts = place.workspace.find("index", "promised").about["facts"]
    assert facts["promise"] == {"recall": 0.9, "k": 5, "p95_ms": None, "ram": 1 << 30} and facts["recall@5"] >= 0.9
    study, place = opened(LIGHT + (more + 'name = "small"\n').replace('"1G"', '"1K"'))
    with pytest.raises(TargetNotMet, match="step index small: "):
        carry_out(study, place)


def test_the_best_of_a_grid_is_trained(finished: Finished) -> None:
    _, place = finished
    lines = (place.folder / "grids" / "vectors.csv").read_text().splitlines()
    assert lines[0].startswith("window,min_count,hit_rate@5,")
    assert len(lines) == 5
    reached = [float(dict(zip(lines[0].split(","), line.split(","), strict=True))["mrr@10"]) for line in lines[1:]]
    assert reached == sorted(reached, reverse=True)
    settings = place.workspace.find("model", "vectors").about["settings"]
    assert lines[1].startswith(f"{settings['window']},{settings['min_count']},")


def test_a_wider_grid_keeps_what_was_tried(opened: Opened, finished: Finished) -> None:
    study, place = finished
    tried: list[Any] = []
    study, place = opened(LIGHT.replace("window = [2, 5]", "window = [2, 5, 9]"))
    before = {f.name: f.stat().st_mtime_ns for f in (place.folder / "grids" / "vectors").iterdir()}
    carry_out(study, place, report=lambda event, **said: tried.append(said) if event == "tried" else None)
    assert len(tried) == 6
    after = {f.name: f.stat().st_mtime_ns for f in (place.folder / "grids" / "vectors").iterdir()}
    assert len(after) == 6 and before.items() <= after.items()


def test_the_tables(finished: Finished) -> None:
    _, place = finished
    shown, data = json.loads((place.folder / "tables" / "tables.json").read_text())
    metrics = json.loads((place.folder / "compare" / "comparison.json").read_text())["metrics"]
    popular, vectors = (f"{metrics[name]['recall@10']:.4f}" for name in ("popular", "vectors"))
    mrr = [f"{metrics[name]['mrr@10']:.4f}" for name in ("popular", "vectors")]
    heads = ["", "recall@10", "recall@10, article", "mrr@10", "mrr@10, article"]
    assert [list(row) for row in shown["rows"]] == [heads, heads]
    assert [list(row.values()) for row in shown["rows"]] == [
        ["most popular", popular, ".1", mrr[0], ".2"],
        ["word2vec", vectors, "–", mrr[1], "–"],
    ]
    assert [list(row.values()) for row in data["rows"]] == [["playlists", "300", "400"], ["asked", "60", "–"]]
    text = (place.folder / "tables" / "tables.md").read_text()
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
    _, place = finished
    changed, _ = opened(LIGHT.replace(old, new))
    planned = why(changed, place)
    assert planned[step] == f"run: {reason}"
    ran = done(changed, place)
    assert step in ran and set(ran) <= set(planned)
    assert why(changed, place) == {}


def test_equal_settings_written_otherwise_are_no_change(opened: Opened, finished: Finished) -> None:
    _, place = finished
    same, _ = opened(LIGHT.replace("dim = 8, epochs = 2", 'epochs = "2", dim = 8, negative = 5'))
    assert why(same, place) == {}


def test_touched_files_are_read_again_and_no_more(opened: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    """Other times of change, equal content: the sessions come out the same, and nothing after them is done."""
    data = tmp_path / "data"
    shutil.copytree(toy_mpd, data / "mpd")
    study, place = opened(LIGHT.replace("{data}", str(data / "mpd")))
    carry_out(study, place)
    for file in (data / "mpd" / "train").iterdir():
        os.utime(file, (1, 1))
    paths = f"input changed: {data / 'mpd' / 'train'}"
    assert why(study, place) == {
        "prepare": f"run: {paths}",
        "split": "may run: after prepare",
        **{f"train {name}": "may run: after split" for name in ("popular", "vectors", "cooccurrence")},
        "index vectors-flat": "may run: after train vectors",
        "evaluate vectors": "may run: after train vectors",
        "compare": "may run: after train popular, train vectors",
        "export similar.txt": "may run: after train cooccurrence",
        "tables": "may run: after split, compare",
    }
    assert done(study, place) == ["prepare"]


def test_other_data_are_another_study(opened: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(toy_mpd, data)
    study, place = opened(LIGHT.replace("{data}", str(data)))
    carry_out(study, place)
    (file,) = (data / "train").iterdir()
    slice_ = json.loads(file.read_text())
    slice_["playlists"] = slice_["playlists"][:-30]
    file.write_text(json.dumps(slice_))
    assert done(study, place) == NAMES


def test_what_is_gone_damaged_or_replaced_is_made_again(finished: Finished) -> None:
    study, place = finished
    root = place.workspace.root
    shutil.rmtree(root / "models" / "popular")
    (root / "indexes" / "vectors-flat" / "index.faiss").write_bytes(b"")
    shutil.rmtree(root / "models" / "cooccurrence")
    shutil.copytree(root / "models" / "vectors", root / "models" / "cooccurrence")
    assert why(study, place) == {
        "train popular": f"run: {root}/models/popular is missing or damaged",
        "train cooccurrence": f"run: {root}/models/cooccurrence was replaced",
        "index vectors-flat": f"run: {root}/indexes/vectors-flat is missing or damaged",
        "compare": "may run: after train popular",
        "export similar.txt": "may run: after train cooccurrence",
        "tables": "may run: after compare",
    }
    assert done(study, place) == ["train popular", "train cooccurrence", "index vectors-flat"]
    (root / "similar.txt").write_text("mine\n")
    assert why(study, place) == {"export similar.txt": f"run: {root}/similar.txt was replaced"}


def test_another_version_makes_all_anew(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    study, place = finished
    monkeypatch.setattr("embedrec.experiments.run_records.__version__", "99")
    assert set(why(study, place).values()) == {"run: made by version 0.1.0"}


def test_settings_that_leave_arrays_alone_count(opened: Opened) -> None:
    """Models of session kNN keep the same arrays, however many neighbours they listen to."""
    text = LIGHT.replace('model = "popular"\n', 'model = "sknn"\nset = {neighbours = 5}\nname = "popular"\n', 1)
    study, place = opened(text)
    carry_out(study, place)
    changed, _ = opened(text.replace("neighbours = 5", "neighbours = 50"))
    assert done(changed, place) == ["train popular", "compare", "tables"]


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"done": true}', '{"done": true, "key": 3}', "\xff"])
def test_torn_records_mean_never_done(finished: Finished, torn: str) -> None:
    study, place = finished
    _file(study.steps[2], place).write_text(torn, encoding="latin-1")
    assert why(study, place)["train popular"] == "run: never done"


def test_from_a_step_on(finished: Finished) -> None:
    study, place = finished
    planned = why(study, place, start="compare")
    assert planned == dict.fromkeys(("compare", "export similar.txt", "tables"), "run: --from compare")
    assert done(study, place, start="train cooccurrence") == NAMES[4:]
    assert done(study, place, start="train") == NAMES[2:]
    for call in (plan, carry_out):
        with pytest.raises(SettingsError, match="no step is called 'compar'; did you mean 'compare'"):
            call(study, place, start="compar")


def test_from_a_step_on_is_kept_in_mind(finished: Finished) -> None:
    """What --from asked for is done by the next run, where the first one was ended."""
    study, place = finished

    def report(event: str, **said: Any) -> None:
        if event == "begin" and said["step"] == "evaluate vectors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(study, place, start="index", report=report)
    assert why(study, place) == dict.fromkeys(NAMES[6:], "run: never done")
    assert done(study, place) == NAMES[6:]


def test_from_goes_on_with_a_step_that_was_interrupted(opened: Opened) -> None:
    study, place = opened(BRIEF)

    def report(event: str, **said: Any) -> None:
        if event == "epoch" and "examples_per_second" in said and said["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(study, place, report=report)
    told: list[str] = []
    carry_out(study, place, start="train", report=lambda event, **said: told.append(event))
    assert "resumed" in told


def test_what_the_system_says_of_a_step_names_it(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    study, place = opened(BRIEF)
    error: OSError = IsADirectoryError(21, "Is a directory", "models")

    def work(*_: object) -> None:
        raise error

    monkeypatch.setattr(works.Prepare, "work", work)
    with pytest.raises(ArtifactError) as said:
        carry_out(study, place)
    assert str(said.value) == "step prepare: the system said: Is a directory (models); nothing was left half-written"
    error = BrokenPipeError(32, "Broken pipe")  # of stderr, which the command line knows what to do about
    with pytest.raises(BrokenPipeError):
        carry_out(study, place)


def test_errors_name_the_step(opened: Opened) -> None:
    study, place = opened(LIGHT.replace('fact = "sessions"', 'fact = "sesions"'))
    with pytest.raises(SettingsError) as error:
        carry_out(study, place)
    message = "step tables: no fact of the sessions is called 'sesions'; did you mean 'sessions'"
    assert str(error.value).startswith(message)
    assert why(study, place) == {"tables": "run: was interrupted"}


def test_two_runs_at_once(opened: Opened) -> None:
    study, place = opened(LIGHT)

    def again(event: str, **said: Any) -> None:
        if event == "begin" and said["step"] == "split":
            carry_out(study, place)

    with pytest.raises(ArtifactError, match="another run of this study is at work"):
        carry_out(study, place, report=again)


def outcome(study: Study, place: StepContext) -> dict[str, Any]:
    """What every step has written, whatever the hour."""
    return {step.name: identity(step.place(place)) for step in study.steps}


SCRIPT = """
import sys
from pathlib import Path
from embedrec.experiments.parse import read_study
from embedrec.experiments.runner import carry_out, where
from embedrec.storage.workspace import Workspace
study = read_study(Path(sys.argv[1]), data=sys.argv[2])
print("begun", flush=True)
carry_out(study, where(study, Workspace(Path(sys.argv[3]))))
"""


def test_killed_at_any_moment_it_goes_on(opened: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    """Killed twice at random moments; the third run, left alone, ends with what an uninterrupted one has."""
    study, whole = opened(LIGHT)
    started = time.monotonic()
    carry_out(study, whole)
    seconds = time.monotonic() - started
    _, place = opened(LIGHT, folder="killed")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "small.toml"), str(toy_mpd), str(place.workspace.root)]
    for share in np.random.default_rng(int.from_bytes(os.urandom(4))).uniform(0.1, 1.0, 2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        time.sleep(share * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    carry_out(study, place)
    assert outcome(study, place) == outcome(study, whole)
    assert why(study, place) == {}


BRIEF = """\
[prepare]
source = "mpd"
paths = ["{data}/train"]
[[train]]
model = "two-tower"
set = {dim = 8, epochs = 3}
"""


def test_a_training_goes_on_where_it_was(opened: Opened) -> None:
    study, whole = opened(BRIEF)
    carry_out(study, whole)
    _, place = opened(BRIEF, folder="stopped")
    told: list[tuple[str, Any]] = []

    def report(event: str, **said: Any) -> None:
        told.append((event, said.get("epoch")))
        if event == "epoch" and "examples_per_second" in said and said["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(study, place, report=report)
    told.clear()
    assert why(study, place)["train two-tower"] == "run: was interrupted"
    carry_out(study, place, report=lambda event, **said: told.append((event, said.get("epoch"))))
    assert ("resumed", 2) in told
    assert outcome(study, place) == outcome(study, whole)
    assert not (place.workspace.root / "checkpoints" / "two-tower").exists()
