"""`embedrec evaluate`: exactly what it prints, and how it fails."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from embedrec.storage import artifacts
from tests.cli.conftest import Run, fails, succeed
from tests.cli.evaluation_cases import EVALUATE_NOTES, POPULAR_TABLE


def test_metrics_are_tab_separated_in_a_pipe(run: Run, split: Path) -> None:
    result = succeed(run, "evaluate", "popular", "--at", "1,3", "--draws", 0)
    assert result.out == POPULAR_TABLE
    assert result.err == EVALUATE_NOTES + "model popular: trained now on the training part\n"


def test_intervals_are_of_the_longest_list(run: Run, split: Path) -> None:
    result = succeed(run, "evaluate", "popular", "--at", "3,1,3")
    assert [row[:3] for row in result.rows] == [line.split("\t") for line in POPULAR_TABLE.splitlines()]
    for name, _, at_3, low, high in result.rows:
        if name in ("coverage", "gini", "diversity"):
            assert low == high == ""
        else:
            assert float(low) <= float(at_3) <= float(high)
    as_json = json.loads(succeed(run, "evaluate", "popular", "--at", "1,3", "--json").out)
    for name, _, at_3, low, high in result.rows:
        key = name if name == "r_precision" else f"{name}@3"
        assert f"{as_json[key]:.4f}" == at_3
        if low:
            assert (f"{as_json[f'{key}_low']:.4f}", f"{as_json[f'{key}_high']:.4f}") == (low, high)


def test_json_contains_metrics_and_the_protocol(run: Run, split: Path) -> None:
    printed = succeed(
        run, "evaluate", "popular", "--at", "3", "--draws", 0, "--json", "--seen", "remove", "--unknown", "drop"
    )
    result = json.loads(printed.out)
    seconds = {key: result.pop(key) for key in ("train_seconds", "seconds")}
    assert all(value >= 0 for value in seconds.values())
    metrics = ("hit_rate", "precision", "recall", "mrr", "map", "ndcg", "popularity", "novelty")
    names = [*(f"{m}@3" for m in metrics), "r_precision", "coverage@3", "gini@3", "diversity@3"]
    metric_values = {name: result.pop(name) for name in names}
    assert result == {
        "model": "popular", "origin": "trained now on the training part", "sessions": "clicks-time",
        "split": "time:share=0.25", "part": "test", "protocol": "next", "ties": "conservative", "seen": "removed",
        "unknown": "drop", "train_sessions": 9, "train_events": 25, "catalogue": 4, "test_sessions": 3,
        "source": artifacts.read(split / "sessions" / "clicks-time").fingerprint, "questions": 6, "targets": 6,
    }  # fmt: skip
    assert metric_values["hit_rate@3"] == 1 and metric_values["mrr@3"] < 1
    assert printed.err.splitlines()[-2].endswith("; ties conservative; seen items removed; unknown targets dropped")


def test_undefined_metrics_are_null(run: Run, split: Path) -> None:
    """Diversity needs pairs of items, and rules have no results after an unknown item."""
    (split / "lonely.csv").write_text("session,item\n1,a\n1,b\n2,b\n2,a\n3,x\n3,a\n")
    succeed(run, "prepare", "table", "lonely.csv")
    options = ("--split", "tail:share=.4", "--protocol", "next", "--at", "2")
    result = json.loads(succeed(run, "evaluate", "ar", *options, "--json").out)
    assert result["popularity@2"] is None and result["popularity@2_low"] is None and result["diversity@2"] is None
    rows = succeed(run, "evaluate", "ar", *options).rows
    assert next(row for row in rows if row[0] == "popularity")[1:] == ["nan", "nan", "nan"]
    printed = succeed(run, "compare", "ar", "popular", *options, "--metrics", "popularity@2", "--json")
    first, second = (json.loads(line) for line in printed.out.splitlines())
    assert (first["model"], second["model"]) == ("popular", "ar")  # models without a value are last
    assert second["popularity@2"] is None and second["low"] is None and second["gap_to_best"] is None


def test_metrics_are_split_by_length_and_popularity(run: Run, split: Path) -> None:
    result = succeed(run, "evaluate", "popular", "--at", "1,3", "--draws", 0, "--by", "length")
    assert result.out == POPULAR_TABLE + (
        "0\t1\t1.0000\t0.5000\t0.6309\n1\t3\t1.0000\t0.6111\t0.7103\n2\t2\t0.5000\t0.5000\t0.5000\n"
    )
    result = succeed(run, "evaluate", "popular", "--at", 3, "--draws", 0, "--by", "popularity", "--json")
    _, *lines = map(json.loads, result.out.splitlines())
    assert [(line["target"], line["questions"]) for line in lines] == [("10-50%", 4), ("50-100%", 2)]
    assert list(lines[0]) == ["target", "questions", "recall@3", "mrr@3", "ndcg@3"]


# ------------------------------------------------------------------------------------ which model, which data


def test_a_trained_model_is_used_or_trained_again(run: Run, split: Path) -> None:
    succeed(run, "train", "popular", "--name", "fair")
    succeed(run, "train", "popular", "--set", "days=0.01", "--sessions", "clicks", "--name", "knows-all")
    query = succeed(run, "evaluate", "fair", "--at", "1,3", "--draws", 0)
    assert query.out == POPULAR_TABLE
    assert query.err == EVALUATE_NOTES + "model fair: trained before, on the training part\n"
    origin = "retrained on the training part with its settings"
    for options in (("--valid",), ("--split", "tail"), ("--set", "days=9"), ("--sessions", "clicks")):
        assert f"model fair: {origin}" in succeed(run, "evaluate", "fair", "--at", "2", *options).err
    result = json.loads(succeed(run, "evaluate", "knows-all", "--at", "3", "--json").out)
    assert result["origin"] == origin and result["train_seconds"] is not None
    days = json.loads(succeed(run, "evaluate", "popular", "--set", "days=0.01", "--at", "3", "--json").out)
    assert {k: v for k, v in result.items() if "@" in k} == {k: v for k, v in days.items() if "@" in k}
    (split / "c.toml").write_text("[train.popular]\ndays = 0.01\n")
    read = json.loads(succeed(run, "evaluate", "popular", "--config", "c.toml", "--at", "3", "--json").out)
    assert read["mrr@3"] == days["mrr@3"]


def test_sessions_are_split_during_the_evaluation(run: Run, clicks: Path) -> None:
    result = succeed(run, "evaluate", "popular", "--split", "last-item", "--at", "2", "--draws", 0)
    notes = result.err.splitlines()
    assert notes[1] == "split last-item: 12 training sessions, 12 in the test part"
    assert (
        "leak check: training has the ids of 12 of the 12 held-out sessions too, but nothing beyond the given part"
        in notes
    )
    assert notes[-3] == "protocol last: the last item of every held-out session; 12 test cases"
    result = succeed(run, "evaluate", "popular", "--split", "tail:share=.25", "--valid", "--at", "2", "--draws", 0)
    assert result.err.splitlines()[1] == (
        "split tail:share=0.25 of the training part: 7 training sessions, 2 in the validation part"
    )
    default = succeed(run, "evaluate", "popular", "--at", "2", "--draws", 0).err.splitlines()[1]
    assert default == "split time: 10 training sessions, 2 in the test part"
    assert [p.name for p in (clicks / "sessions").iterdir()] == ["clicks"]  # nothing was written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--protocol next", "the next item after every prefix of every held-out session; 6 test cases"),
        ("--protocol last", "the last item of every held-out session; 3 test cases"),
        ("--protocol rest", "the rest of every held-out session, its first items given; 3 test cases"),
        ("--protocol rest --given 2", "the rest of every held-out session, its first items given; 3 test cases"),
        (
            "--protocol users --split warm-time:share=.3",
            "all held-out items of a user, the earlier ones given; ",
        ),
    ],
)
def test_every_protocol_is_described(options: str, message: str, run: Run, split: Path) -> None:
    sessions = ("--sessions", "clicks" if "users" in options else "clicks-time")
    result = succeed(run, "evaluate", "popular", "--at", "2", "--draws", 0, *sessions, *options.split())
    name = options.split()[1]
    assert f"\nprotocol {name}: {message}" in result.err
    assert len(result.rows) == 12


def test_similar_items_are_evaluated_with_labels(run: Run, playlists: Path, tmp_path: Path) -> None:
    workspace = ("--workspace", tmp_path)
    succeed(run, "prepare", "mpd", playlists, *workspace)
    succeed(run, "split", "random:share=.2", *workspace)
    about = json.loads(succeed(run, "info", "mpd-artist-random", "--json", *workspace).out)
    assert about["split"]["rule"] == "random" and about["sessions"] + about["test_sessions"] == 400
    rows = ["artist,genres"]
    for item in artists(tmp_path):
        rows.append(f"{item},{'odd' if len(rows) % 2 else 'even|few'}")
    (tmp_path / "genres.csv").write_text("\n".join(rows) + "\n")
    options = ("--protocol", "similar", "--labels", tmp_path / "genres.csv", "--at", "5,20", "--draws", 0, *workspace)
    printed = succeed(run, "evaluate", "ar", *options)
    assert (
        "protocol similar: items that co-occur with an item in held-out sessions, the item alone given; " in printed.err
    )
    assert "; seen items removed; " in printed.err
    name, first, last = printed.rows[-1]
    assert (name, first) == ("label_overlap@10", "") and 0 < float(last) < 1
    result = json.loads(succeed(run, "evaluate", "ar", "--json", *options).out)
    assert f"{result['label_overlap@10']:.4f}" == last
    compared = succeed(run, "compare", "ar", "--csv", *options)
    assert next(csv.DictReader(io.StringIO(compared.out)))["label_overlap@10"] == str(result["label_overlap@10"])


def artists(workspace: Path) -> list[str]:
    from embedrec.data import Sessions

    return Sessions.load(artifacts.read(workspace / "sessions" / "mpd-artist")).vocab.ids.tolist()


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_a_model_is_evaluated_through_an_index(kind: str, run: Run, playlists: Path, tmp_path: Path) -> None:
    workspace = ("--workspace", tmp_path)
    succeed(run, "prepare", "mpd", playlists, *workspace)
    small = ("--set", "dim=8", "--set", "epochs=1", "--threads", 1, "--split", "tail", "--draws", 0, "--json")
    exact = json.loads(succeed(run, "evaluate", "word2vec", *small, *workspace).out)
    printed = succeed(run, "evaluate", "word2vec", *small, "--through", kind, *workspace)
    result = json.loads(printed.out)
    for key in ("recall@20", "mrr@20"):
        messages = f"{key} of word2vec: {result[key]:.4f} through the index, {exact[key]:.4f} exactly, a loss of "
        assert f"{messages}{round(1 - result[key] / exact[key], 4) or 0.0:.2%}\n" in printed.err
    assert result["origin"].startswith(f"{exact['origin']}; through ")
    if kind == "flat":
        assert result["recall@20"] == pytest.approx(exact["recall@20"], abs=1e-3)
    assert 0 < result["recall@20"] <= 1


# ------------------------------------------------------------------------------------------------------ runs


def test_a_saved_run_is_evaluated_again(run: Run, split: Path) -> None:
    saved = succeed(run, "evaluate", "popular", "--at", "1,3", "--draws", 0, "--save-run", "runs")
    assert saved.err.endswith("\nwrote run runs\n") and saved.out == POPULAR_TABLE
    about = artifacts.read(split / "runs", "run").about
    assert (about["model"], about["questions"], about["ties"]) == ("popular", 6, "conservative")
    ranked = "".join(line + "\n" for line in POPULAR_TABLE.splitlines()[:7])
    for paths in (("--run", "runs"), ("--run", "runs/run.trec", "--qrels", "runs/qrels.trec")):
        evaluated = succeed(run, "evaluate", *paths, "--at", "1,3")
        assert evaluated.out == ranked
        assert evaluated.err == f"run {paths[1]}: 6 test cases, lists in the order of the run\n"
    result = json.loads(succeed(run, "evaluate", "--run", "runs", "--at", "3", "--json").out)
    assert (result["run"], result["questions"], result["recall@3"]) == ("runs", 6, 5 / 6)
    assert "mrr@3_low" not in result
    longer = succeed(run, "evaluate", "--run", "runs", "--at", "3,4")
    assert longer.err.splitlines()[1:] == [
        "the longest list has 3 items; metrics at larger k are computed on the available items"
    ]
    message = fails(run, "evaluate", "popular", "--at", "3", "--save-run", "other", "--ties", "median")
    assert message == "median ranks are not those of a list; save runs with --ties standard or conservative"
    assert not (split / "other").exists()
    message = fails(run, "evaluate", "popular", "--at", "3", "--save-run", "clicks.csv")
    assert message == "clicks.csv is a file; move it away or choose another name"


def test_invalid_run_files_are_refused(run: Run, split: Path) -> None:
    message = fails(run, "evaluate", "--run", "clicks.csv")
    assert message == "clicks.csv has ranked lists only; pass the file of relevant items with --qrels"
    message = fails(run, "evaluate", "--run", "clicks.csv", "--qrels", "clicks.csv")
    assert message == "clicks.csv, line 1: expected 6 fields, but there are 1"
    assert fails(run, "evaluate", "--run", "nowhere") == (
        "nowhere cannot be read (No such file or directory); check the path"
    )
    assert "is of kind sessions, but an artifact of kind run is needed" in fails(
        run, "evaluate", "--run", "sessions/clicks"
    )


# ------------------------------------------------------------------------------------------------ comparing


# -------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_unknown_models_are_refused_before_training(command: str, run: Run, split: Path) -> None:
    succeed(run, "train", "popular", "--name", "mine-2")
    message = "no model is called 'mine2'; did you mean 'mine-2'?"
    assert fails(run, command, "mine2") == message
    assert fails(run, command, "popula", "--at", "1") == "no model is called 'popula'; did you mean 'popular'?"
    result = run("compare", "popular", "mine2")
    assert (result.code, result.out, result.err) == (
        1,
        "",
        f"embedrec: {message}\n",
    )  # nothing was split, nothing trained


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("evaluate", "give either MODEL or --run"),
        ("evaluate popular --run runs", "give either MODEL or --run"),
        ("evaluate popular --qrels q", "--qrels needs a TREC run file; name it with --run"),
        ("evaluate popular --at 0,5", "lengths of lists must be positive integers, such as 5,10,20, not '0,5'"),
        ("evaluate popular --at five", "lengths of lists must be positive integers, such as 5,10,20, not 'five'"),
        ("compare sr --at 5,,10", "lengths of lists must be positive integers, such as 5,10,20, not '5,,10'"),
        ("evaluate --run runs --at -1", "lengths of lists must be positive integers, such as 5,10,20, not '-1'"),
        ("compare popular sr popular", "MODELS contains 'popular' twice; name each model once"),
        ("compare popular --csv --json", "--json, --csv and --markdown are mutually exclusive; give one of them"),
        (
            "compare popular --at 3 --metrics ,",
            "--metrics takes names of metrics, such as recall@20,mrr@20, but is ','",
        ),
        ("compare", "Missing argument 'MODELS...'"),
        ("evaluate popular --protocol net", "'net' is not one of 'next', 'last', 'rest', 'users', 'similar'"),
        ("evaluate popular --draws -1", "-1 is not in the range x>=0"),
    ],
)
def test_options_that_exclude_each_other_are_refused(args: str, message: str, run: Run, split: Path) -> None:
    assert message in fails(run, *args.split(), code=2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("evaluate popular --at 5", "lists of 5 are longer than the catalogue of 4 items; use shorter ones"),
        ("evaluate popular --at 3 --given 2", "--given is for --protocol rest, but the protocol is next"),
        ("evaluate popular --at 3 --protocol users", "the held-out sessions have no given items; split in "),
        ("evaluate popular --at 3 --labels x", "--labels needs --protocol similar; the protocol is next"),
        ("evaluate popular --at 3 --set day=7", "unknown setting 'day' in --set; did you mean 'days'?"),
        ("evaluate popular --at 3 --through flat", "--through needs a model with vectors; popular has none"),
        ("evaluate popular --sessions click", "no sessions artifact is called 'click' in sessions; did you mean "),
        ("compare popular sr --at 3 --metrics recal@3", "unknown metric 'recal@3'; valid are hit_rate@3, "),
        ("compare popular sr --at 3 --config no.toml", "no settings file no.toml; check the path"),
    ],
)
def test_invalid_requests_are_refused(args: str, message: str, run: Run, split: Path) -> None:
    assert fails(run, *args.split()).startswith(message)


def test_an_empty_workspace_names_the_next_command(run: Run, tmp_path: Path) -> None:
    for command in (("evaluate", "popular"), ("compare", "popular")):
        assert "embedrec prepare" in fails(run, *command, "--workspace", tmp_path)
