"""Trials: what is split, what is asked, and who answers."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from embedrec.config import build
from embedrec.data import Features, Sessions, Vocab
from embedrec.data.features import Lists
from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.models import MODELS, recipe_class
from embedrec.models.baselines.popular import Popular
from embedrec.models.imported import Vectors
from embedrec.models.serialization import load_model, save_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.rules import SPLITS, LastItem, Random, Rule, Tail, Time, UserShare, WarmTime, in_words, rule_of
from embedrec.splitting.test_cases import cooccurring_items, next_items, remaining_items
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import (
    PROTOCOLS,
    EvaluationTask,
    Protocol,
    describe_task,
    evaluate_task,
    load_labels,
    open_evaluation_task,
    target_ids,
)
from embedrec.workflows.evaluated_models import (
    EvaluatedModel,
    check_model_names,
    model_to_evaluate,
    search_through_index,
)
from embedrec.workflows.lineage import counts, provenance
from embedrec.workflows.split import write_split
from embedrec.workflows.train import TrainingOptions, train_model
from tests.conftest import of_lists, some_embeddings
from tests.data.plain import plain_of

SMALL = {"dim": "8", "epochs": "2", "min_count": "1"}  # of these, what a recipe knows
N = 30


def world() -> Sessions:
    """120 sessions of 12 users in order of time, two kinds of items that keep to themselves; genres beside them."""
    rng = np.random.default_rng(0)
    lists = []
    for s in range(120):
        half = (s % 2) * (N // 2)
        lists.append((half + np.minimum(rng.geometric(0.12, rng.integers(3, 11)) - 1, N // 2 - 1)).tolist())
    sessions = of_lists([[f"i{i:02}" for i in own] for own in lists]).drop_unused_items()
    vocab = Vocab(sessions.vocab.ids, np.array([i.upper() for i in sessions.vocab.ids], dtype=object))
    genre = np.array([int(i[1:]) >= N // 2 for i in vocab.ids], dtype=np.int32)
    genres = Lists(np.arange(len(vocab) + 1), genre, np.array(["first", "second"], dtype=object))
    return replace(
        sessions,
        vocab=vocab.with_counts(np.bincount(sessions.items)),
        times=np.arange(len(sessions.items)) * 3_600_000,
        weights=np.full(len(sessions.items), 4.0),
        users=np.array([f"u{s % 12}" for s in range(120)], dtype=object),
        item_features=Features(Vocab(vocab.ids[::-1]), lists={"genre": genres.take(np.arange(len(vocab))[::-1])}),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trial")
    world().save(root / "sessions" / "world", {})
    write_split(artifacts.read(root / "sessions" / "world"), root / "sessions" / "split", Time(share=0.2))
    return root


@pytest.fixture
def source(root: Path) -> Artifact:
    return artifacts.read(root / "sessions" / "world", "sessions")


@pytest.fixture
def split_source(root: Path) -> Artifact:
    return artifacts.read(root / "sessions" / "split", "sessions")


def by_hour(count: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(count * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# ---------------------------------------------------------------------------------------------- rules in words


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("time", Time()),
        ("time:", Time()),
        ("time:days=7", Time(days=7.0)),
        ("time:at=2024-05-31T10:00:00", Time(at="2024-05-31T10:00:00")),
        ("warm-time:share=.2,min_rating=4", WarmTime(share=0.2, min_rating=4.0)),
        ("random: share = 0.5 ,", Random(0.5)),
        ("user-share:share=.75", UserShare(0.75)),
    ],
)
def test_rules_from_words(text: str, rule: Rule) -> None:
    assert rule_of(text) == rule
    assert rule_of(in_words(rule)) == rule


def test_every_rule_in_words() -> None:
    assert [in_words(rule()) for rule in SPLITS.values()] == [
        "time", "warm-time", "last-item", "last-session", "user-share:share=0.8", "random:share=0.1", "tail:share=0.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tine", "no split rule is called 'tine'; did you mean 'time'?"),
        (
            "",
            "no split rule is called ''; valid rules are time, warm-time, last-item, last-session, user-share, random, "
            "tail",
        ),
        ("time:7", "settings of a split are key=value, such as time:days=7, but '7' has no '='"),
        ("time:day=7", "unknown setting 'day' in --split time:day=7; did you mean 'days'?"),
        ("last-item:share=.1", "unknown setting 'share' in --split last-item:share=.1; it has no settings"),
        ("random:share=ten", "setting 'share' in --split random:share=ten must be a number, but is 'ten'"),
        ("random:share=2", "share must be between 0 and 1, but is 2.0"),
        ("time:days=inf", "days must be a positive number, but is inf"),
    ],
)
def test_words_that_are_no_rule(text: str, says: str) -> None:
    with pytest.raises(SettingsError) as error:
        rule_of(text)
    assert str(error.value) == says


# ------------------------------------------------------------------------------------------------- the parts


def same(a: Sessions, b: Sessions) -> bool:
    return plain_of(a) == plain_of(b) and a.vocab.ids.tolist() == b.vocab.ids.tolist()


def asks(one: EvaluationTask, protocol: Protocol) -> bool:
    """Whether the trial asks what its protocol says of its held-out part."""
    expected = {
        "next": lambda: next_items(one.test),
        "last": lambda: next_items(one.test, "last"),
        "rest": lambda: remaining_items(one.test, 1),
        "users": lambda: remaining_items(one.test),
        "similar": lambda: cooccurring_items(one.test, one.train.vocab),
    }[protocol]()
    return one.protocol == protocol and all(
        np.array_equal(getattr(one.test_cases, c), getattr(expected, c))
        for c in ("session", "length", "offsets", "targets")
    )


def test_every_protocol_has_words() -> None:
    assert tuple(PROTOCOLS) == get_args(Protocol)


@pytest.mark.parametrize(
    ("split", "protocol"),
    [
        ("time:share=.3", "next"),
        ("tail", "next"),
        ("random", "next"),
        ("last-session", "next"),
        ("user-share", "next"),
        ("last-item", "last"),
        ("warm-time", "users"),
    ],
)
def test_split_as_asked_with_questions_that_fit(source: Artifact, split: str, protocol: Protocol) -> None:
    found = open_evaluation_task(source, split=split, seed=7)
    expected = rule_of(split).split(world(), seed=7)
    assert same(found.train, expected.train) and same(found.test.sessions, expected.test.sessions)
    assert found.test.given.tolist() == expected.test.given.tolist()
    assert asks(found, protocol)
    assert (found.rule, found.part, found.whole_artifact) == (in_words(rule_of(split)), "test", False)
    assert (
        found.leak_check[0] == f"all {len(found.train.vocab)} items of the training vocabulary are in training sessions"
    )


def test_the_usual_split(source: Artifact, tmp_path: Path) -> None:
    assert open_evaluation_task(source).rule == "time"
    assert open_evaluation_task(source, protocol="users").rule == "warm-time"
    replace(world(), times=None).save(tmp_path / "s", {})
    timeless = artifacts.read(tmp_path / "s")
    assert [open_evaluation_task(timeless, protocol=p).rule for p in (None, "last")] == ["last-item"] * 2
    for protocol in ("next", "rest", "similar"):  # these need whole sessions
        assert open_evaluation_task(timeless, protocol=protocol).rule == "random:share=0.1"


def test_a_held_out_part_that_is_there(split_source: Artifact) -> None:
    found = open_evaluation_task(split_source)
    expected = Time(share=0.2).split(world())
    assert same(found.train, expected.train) and same(found.test.sessions, expected.test.sessions)
    assert (found.rule, found.part, found.whole_artifact) == ("time:share=0.2", "test", True)
    assert found.leak_check[-1] == "all training events are before the end of every held-out session"
    assert asks(found, "next")
    again = open_evaluation_task(split_source, split="random:share=.25")  # its training part, split otherwise
    assert same(again.train, Random(0.25).split(expected.train).train) and not again.whole_artifact


@pytest.mark.parametrize(
    ("split", "valid"),
    [("tail:share=.25", "tail:share=0.25"), ("last-item", "last-item"), ("random", "random:share=0.1")],
)
def test_a_validation_part_is_cut_by_the_same_rule(source: Artifact, split: str, valid: str) -> None:
    found = open_evaluation_task(source, split=split, valid=True, seed=3)
    rule = rule_of(split)
    expected = rule.split(rule.split(world(), seed=3).train, seed=3)
    assert same(found.train, expected.train) and same(found.test.sessions, expected.test.sessions)
    assert (found.rule, found.part, found.whole_artifact) == (f"{valid} of the training part", "valid", False)
    test = set(open_evaluation_task(source, split=split, seed=3).test.sessions.ids.tolist())
    assert split == "last-item" or not test & {*found.train.ids.tolist(), *found.test.sessions.ids.tolist()}


def test_a_validation_part_of_a_part_that_is_there(split_source: Artifact, tmp_path: Path) -> None:
    assert open_evaluation_task(split_source, valid=True).rule == "time:share=0.2 of the training part"
    train, test = Tail(0.25).split(world())
    for name, part, words in (
        ("timed", train, "time:share=0.25 of the training part"),
        ("plain", replace(train, times=None), "tail:share=0.25 of the training part"),
    ):
        with artifacts.writing(tmp_path / name, "sessions", {"split": {"rule": "given"}}) as draft:
            part.write(draft)
            test.write(draft)
        given = artifacts.read(tmp_path / name)
        assert open_evaluation_task(given).rule == "given" and open_evaluation_task(given).whole_artifact
        valid = open_evaluation_task(given, valid=True)
        assert valid.rule == words and not valid.whole_artifact
        known = set(open_evaluation_task(given).train.ids.tolist())
        assert {*valid.train.ids.tolist(), *valid.test.sessions.ids.tolist()} == known


def test_the_seed_draws_parts_and_companions(source: Artifact) -> None:
    one, same_seed, other = (open_evaluation_task(source, split="random", seed=s) for s in (1, 1, 2))
    assert one.test.sessions.ids.tolist() == same_seed.test.sessions.ids.tolist() != other.test.sessions.ids.tolist()
    drawn = [
        open_evaluation_task(source, split="tail", protocol="similar", seed=s).test_cases.sessions.items
        for s in (1, 1, 2)
    ]
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()


def test_given_is_for_the_rest(source: Artifact) -> None:
    found = open_evaluation_task(source, protocol="rest", given=3)
    assert (found.test_cases.length == 3).all()
    assert (open_evaluation_task(source, protocol="rest").test_cases.length == 1).all()
    for protocol, name in (("next", "next"), (None, "next"), ("similar", "similar")):
        with pytest.raises(SettingsError) as error:
            open_evaluation_task(source, protocol=protocol, given=3)  # type: ignore[arg-type]
        assert str(error.value) == f"--given is for --protocol rest, but the protocol is {name}"
    with pytest.raises(SettingsError, match="the held-out sessions have no given items"):
        open_evaluation_task(source, split="tail", protocol="users")


def test_a_leak_stops_the_trial(tmp_path: Path) -> None:
    train, test = LastItem().split(world())
    with artifacts.writing(tmp_path / "leaky", "sessions", {}) as draft:
        world().write(draft)
        test.write(draft)
    with pytest.raises(DataError, match="leak: training has session 0 beyond the "):
        open_evaluation_task(artifacts.read(tmp_path / "leaky"))
    late = replace(train, times=np.full(len(train.items), 2**50))
    with artifacts.writing(tmp_path / "late", "sessions", {"split": {"rule": "time", "settings": {}}}) as draft:
        late.take(np.arange(5, 120)).drop_unused_items().write(draft)
        HeldOut(test.sessions.take(np.arange(5)), np.zeros(5)).write(draft)
    with pytest.raises(DataError, match="leak: a training event is not before all held-out events"):
        open_evaluation_task(artifacts.read(tmp_path / "late"))


def test_whether_sessions_repeat_items(source: Artifact) -> None:
    found = open_evaluation_task(source)
    assert found.has_repeats()
    once = [list(dict.fromkeys(p.items)) for p in plain_of(found.train)]
    assert not replace(found, train=of_lists(once)).has_repeats()
    assert not replace(found, train=of_lists([])).has_repeats()


def test_written_and_read(source: Artifact, tmp_path: Path) -> None:
    rule = WarmTime(share=0.3, min_rating=2)
    done, checked = write_split(source, tmp_path / "w", rule, seed=5)
    train, test = rule.split(world())
    held = HeldOut.load(done)
    assert held is not None and same(Sessions.load(done), train) and same(held.sessions, test.sessions)
    assert held.given.tolist() == test.given.tolist()
    assert done.about == {
        "of": provenance(source),
        "split": {"rule": "warm-time", "settings": dataclasses.asdict(rule), "seed": 5, "checked": checked},
        **counts(train),
        "test_sessions": len(test),
        "test_events": len(test.sessions.items),
    }
    assert checked[-1] == "all training events are before all held-out events"
    assert open_evaluation_task(done).protocol == "users"
    with pytest.raises(DataError) as error:
        write_split(done, tmp_path / "x", rule)
    said = "sessions w have a held-out part already; split the sessions they were made from"
    assert str(error.value) == said
    with pytest.raises(ArtifactError, match="cannot name an artifact"):
        write_split(source, tmp_path / "a b", rule)


# ------------------------------------------------------------------------------------------------- who answers


def small(name: str) -> list[str]:
    known = {f.name for f in dataclasses.fields(recipe_class(name))}
    return [f"{k}={v}" for k, v in SMALL.items() if k in known]


CASES = [
    ("next", "time:share=.2"),
    ("last", "last-item"),
    ("rest", "random"),
    ("users", "warm-time"),
    ("similar", "tail"),
]


@pytest.mark.parametrize(("protocol", "split"), CASES, ids=[p for p, _ in CASES])
@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_under_every_protocol(
    name: str, protocol: Protocol, split: str, source: Artifact, root: Path
) -> None:
    found = open_evaluation_task(source, split=split, protocol=protocol)
    assert asks(found, protocol)
    model = model_to_evaluate(Workspace(root), name, found, TrainingOptions(pairs=small(name)))
    assert model.seconds is not None and model.origin == "trained now on the training part"
    assert set(model.model.vocab.ids) <= set(found.train.vocab.ids)
    terms = EvaluationSettings(at=(1, 10), exclude_seen=True, draws=20)
    result = evaluate_task(found, model.model, terms)
    assert len(result.test_cases) == len(found.test_cases)
    for key, column in result.values.items():
        assert column.shape == (len(result.test_cases),)
        if key.partition("@")[0] != "novelty":
            assert ((column >= 0) & (column <= 1) | np.isnan(column)).all(), key
    assert 0 < result.metrics["recall@10"] <= 1 and 0 < result.metrics["coverage@10"] <= 1
    low, high = result.intervals["recall@10"]
    assert 0 <= low <= result.metrics["recall@10"] <= high <= 1
    if name == "random" and len(result.test_cases) > 20:  # 10 of about 30 items
        assert result.metrics["coverage@10"] > 0.9
    again = evaluate_task(
        found, model_to_evaluate(Workspace(root), name, found, TrainingOptions(pairs=small(name))).model, terms
    )
    assert again.ranks.tolist() == result.ranks.tolist()


def test_all_protocols_are_covered() -> None:
    assert [p for p, _ in CASES] == list(PROTOCOLS)


@pytest.fixture
def workspace(tmp_path: Path, split_source: Artifact, source: Artifact) -> Workspace:
    """One model of the training part, one of everything, one continued, and imported vectors."""
    workspace = Workspace(tmp_path)
    recipe = Word2Vec(dim=8, epochs=1, min_count=1)
    train_model(Popular(), split_source, workspace.folder("model", "fair"))
    train_model(recipe, source, workspace.folder("model", "knows-all"), seed=1)
    fair = train_model(recipe, split_source, workspace.folder("model", "fair-vectors"), seed=1)
    train_model(recipe, split_source, workspace.folder("model", "continued"), start=fair, seed=1)
    embeddings = some_embeddings(N, 8)
    vocab = Vocab([f"i{r:02}" for r in range(N)])
    save_model(Vectors().from_arrays(vocab, {"items": embeddings.vectors}), workspace.folder("model", "foreign"), {})
    return workspace


def test_a_model_of_the_training_part_is_asked_as_it_is(workspace: Workspace, split_source: Artifact) -> None:
    found = model_to_evaluate(workspace, "fair", open_evaluation_task(split_source))
    assert (found.seconds, found.origin) == (None, "trained before, on the training part")
    vectors = model_to_evaluate(workspace, "fair-vectors", open_evaluation_task(split_source))
    stored = load_model(workspace.find("model", "fair-vectors"))
    assert vectors.seconds is None
    assert vectors.model.arrays["input"].tobytes() == stored.arrays["input"].tobytes()


@pytest.mark.parametrize(
    ("name", "trial_of"),
    [
        ("knows-all", {}),  # trained on more
        ("continued", {}),  # from a model of which it is not known what it has seen
        ("fair-vectors", {"split": "random"}),
        ("fair-vectors", {"valid": True}),
    ],
)
def test_a_model_that_knows_more_is_trained_again(
    name: str, trial_of: dict[str, Any], workspace: Workspace, split_source: Artifact
) -> None:
    asked = open_evaluation_task(split_source, **trial_of)
    found = model_to_evaluate(workspace, name, asked, TrainingOptions(seed=3))
    assert found.seconds is not None and found.origin == "its settings, trained now on the training part"
    assert isinstance(found.model.recipe, Word2Vec) and found.model.recipe.dim == 8
    assert set(found.model.vocab.ids) == set(asked.train.vocab.ids)
    assert found.model.arrays["input"].tobytes() == (
        Word2Vec(dim=8, epochs=1, min_count=1).fit(asked.train, seed=3).arrays["input"].tobytes()
    )


def test_other_settings_are_trained_again(workspace: Workspace, split_source: Artifact, tmp_path: Path) -> None:
    asked = open_evaluation_task(split_source)
    found = model_to_evaluate(workspace, "fair-vectors", asked, TrainingOptions(pairs=["dim=4"]))
    assert found.seconds is not None and found.model.arrays["input"].shape[1] == 4
    (tmp_path / "c.toml").write_text("[train.word2vec]\ndim = 5\n")
    found = model_to_evaluate(workspace, "fair-vectors", asked, TrainingOptions(config=tmp_path / "c.toml"))
    assert found.model.arrays["input"].shape[1] == 5


def test_imported_vectors_are_taken_as_they_are(workspace: Workspace, split_source: Artifact) -> None:
    found = model_to_evaluate(workspace, "foreign", open_evaluation_task(split_source))
    assert (found.seconds, found.origin) == (None, "imported; whether it has seen the held-out part is not known")
    result = evaluate_task(open_evaluation_task(split_source), found.model, EvaluationSettings(draws=0))
    assert 0 < result.metrics["recall@20"] < 1


def test_imported_vectors_know_whole_numbers_as_texts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.choice(20, 6).tolist() for _ in range(30)]
    with artifacts.writing(tmp_path / "sessions" / "s", "sessions", {}) as draft:
        of_lists(lists).drop_unused_items().write(draft)
    vocab = Vocab([str(i) for i in [99, *range(20)]])  # one that training lacks
    embeddings = some_embeddings(21, 8)
    workspace = Workspace(tmp_path)
    save_model(Vectors().from_arrays(vocab, {"items": embeddings.vectors}), workspace.folder("model", "foreign"), {})
    asked = open_evaluation_task(workspace.find("sessions", "s"))
    found = model_to_evaluate(workspace, "foreign", asked)
    assert sorted(found.model.vocab.ids.tolist()) == sorted(asked.train.vocab.ids.tolist())
    nine = found.model.vocab.rows([9])[0]
    assert (found.model.arrays["items"][nine] == embeddings.vectors[10]).all()
    assert evaluate_task(asked, found.model, EvaluationSettings(at=(5,), draws=0)).metrics["recall@5"] > 0


def test_a_trained_model_goes_before_a_recipe(workspace: Workspace, split_source: Artifact) -> None:
    train_model(Popular(days=2), split_source, workspace.folder("model", "popular"))
    found = model_to_evaluate(workspace, "popular", open_evaluation_task(split_source))
    assert found.seconds is None and found.model.recipe == Popular(days=2)


def test_names_are_checked_before_anything_is_trained(workspace: Workspace) -> None:
    check_model_names(workspace, ["fair", "popular", "foreign", *MODELS])
    check_model_names(workspace, [])
    for name, says in (
        ("poplar", "no model is called 'poplar'; did you mean 'popular'?"),
        ("fair-vector", "no model is called 'fair-vector'; did you mean 'fair-vectors'?"),
        ("vectors", "no model is called 'vectors'; did you mean 'fair-vectors'?"),
        (
            "zzz",
            f"no model is called 'zzz'; there are continued, fair, fair-vectors, foreign, knows-all, {LIST_METRICS}",
        ),
    ):
        with pytest.raises(SettingsError) as error:
            check_model_names(workspace, ["popular", name])
        assert str(error.value) == says


LIST_METRICS = ", ".join(MODELS)


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_through_an_index(kind: str, workspace: Workspace, split_source: Artifact) -> None:
    asked = open_evaluation_task(split_source)
    exact = model_to_evaluate(workspace, "fair-vectors", asked)
    found = search_through_index(exact, kind, asked)
    assert found.origin.startswith("trained before, on the training part; through ")
    assert isinstance(found, EvaluatedModel) and found.name == "fair-vectors"
    terms = EvaluationSettings(at=(10,), draws=0)
    one, other = (evaluate_task(asked, c.model, terms) for c in (exact, found))
    if kind == "flat":
        assert one.metrics["recall@10"] == pytest.approx(other.metrics["recall@10"], abs=0.02)
    assert 0 < other.metrics["recall@10"] <= 1


def test_what_has_no_vectors_has_no_index(workspace: Workspace, split_source: Artifact) -> None:
    asked = open_evaluation_task(split_source)
    with pytest.raises(SettingsError) as error:
        search_through_index(model_to_evaluate(workspace, "fair", asked), "flat", asked)
    assert str(error.value) == "fair has no vectors, so there is nothing to index; leave --through out for it"


# -------------------------------------------------------------------------------------- labels and what is told


def label_sets(trial_: EvaluationTask, labels: Any) -> dict[str, int]:
    """Item → number of labels."""
    return dict(zip(trial_.train.vocab.ids.tolist(), np.asarray(labels.sum(axis=1)).ravel().tolist(), strict=True))


def test_labels_of_a_feature(source: Artifact) -> None:
    asked = open_evaluation_task(source, protocol="similar", split="tail")
    labels = load_labels(asked, "genre")
    assert labels.shape == (len(asked.train.vocab), 2)
    for row, item in enumerate(asked.train.vocab.ids.tolist()):
        assert labels[[row]].toarray().tolist() == [[float(item < "i15"), float(item >= "i15")]]
    result = evaluate_task(
        asked, Popular().fit(asked.train), EvaluationSettings(exclude_seen=True, draws=0), labels=labels
    )
    assert 0 < result.metrics["label_overlap@10"] < 1


@pytest.mark.parametrize("first", ["i", "I"], ids=["ids", "names"])
def test_labels_of_a_file(first: str, source: Artifact, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"item,genres\n{first}00,x|y|x\n{first}01,y\n{first}00,z\nother,w\n")
    asked = open_evaluation_task(source, protocol="similar", split="tail")
    found = label_sets(asked, load_labels(asked, str(tmp_path / "labels.csv")))
    assert {i: n for i, n in found.items() if n} == {"i00": 2, "i01": 1}  # a label counts once, the first row counts


def test_labels_that_are_not_there(source: Artifact, tmp_path: Path) -> None:
    asked = open_evaluation_task(source)
    with pytest.raises(SettingsError) as error:
        load_labels(asked, "genres")
    assert (
        str(error.value)
        == "'genres' is neither a file nor a list of the items of world; its items have the lists genre"
    )
    bare = replace(asked, train=replace(asked.train, item_features=None))
    with pytest.raises(SettingsError) as error:
        load_labels(bare, "genre")
    assert str(error.value) == "'genre' is neither a file nor a list of the items of world; its items have no lists"
    for text, says in (
        ("item,a,b\nx,y,z\n", "must have two columns, of items and of labels, but has item, a, b"),
        ("item,genres\nnobody,x\n", "holds no id and no name of an item; check the file"),
    ):
        (tmp_path / "l.csv").write_text(text)
        with pytest.raises(DataError) as data_error:
            load_labels(asked, str(tmp_path / "l.csv"))
        assert says in str(data_error.value)


def test_labels_of_integer_ids(tmp_path: Path) -> None:
    vocab = Vocab([7, 8, 9], names=np.array(["seven", "eight", ""], dtype=object))
    sessions = replace(of_lists([[7, 8, 9]] * 10), vocab=vocab)
    sessions.save(tmp_path / "s", {})
    asked = open_evaluation_task(artifacts.read(tmp_path / "s"), split="tail")
    for text, expected in (("7,x\n9,y\n", {7: 1, 9: 1}), ("eight,x\nseven,y|z\n", {7: 2, 8: 1})):
        (tmp_path / "l.csv").write_text("item,genres\n" + text)
        found = label_sets(asked, load_labels(asked, str(tmp_path / "l.csv")))
        assert {i: n for i, n in found.items() if n} == expected


def test_what_was_asked(split_source: Artifact) -> None:
    asked = open_evaluation_task(split_source, protocol="rest", given=2)
    assert describe_task(asked, EvaluationSettings(exclude_seen=True, unknown="drop")) == {
        "sessions": "split",
        "split": "time:share=0.2",
        "part": "test",
        "protocol": "rest",
        "ties": "conservative",
        "seen": "removed",
        "unknown": "drop",
        "train_sessions": len(asked.train),
        "train_events": len(asked.train.items),
        "catalogue": len(asked.train.vocab),
        "test_sessions": len(asked.test),
        "source": split_source.fingerprint,
    }


def test_ids_of_targets_also_of_unknown_ones(tmp_path: Path) -> None:
    of_lists(["ab", "ba", "cab", "xay"]).save(tmp_path / "s", {})
    asked = open_evaluation_task(artifacts.read(tmp_path / "s"), split="tail:share=.5", protocol="next")
    assert target_ids(asked, EvaluationSettings()).tolist() == ["a", "b", "a", "y"]
    assert target_ids(asked, EvaluationSettings(unknown="drop")).tolist() == ["a", "b", "a"]


def test_every_recipe_is_built_from_the_small_settings() -> None:
    """Else the tests above would train at full size."""
    for name in MODELS:
        recipe = build(recipe_class(name), dict(p.split("=") for p in small(name)), source="the tests")
        assert all(getattr(recipe, k) <= 8 for k in SMALL if hasattr(recipe, k))
