"""A trial: sessions split in two, checked for leaks, the questions asked, and the models that answer them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from embedrec.config import build, parse_pairs, settings_of
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError, did_you_mean
from embedrec.evaluation.evaluate import Evaluation, Terms, evaluate
from embedrec.evaluation.item_similarity import evaluate_similar
from embedrec.models import MODELS, recipe_class, restorer_class
from embedrec.models.base import Model, Recipe, VectorModel
from embedrec.models.filtered_recommend import some_queries
from embedrec.models.serialization import load_model
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.torch_recipe import check_torch, device_of, fitted
from embedrec.progress import Report, quiet
from embedrec.readers.tabular.item_labels import read_labels
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.splitting.rules import SPLITS, LastItem, Random, Rule, Split, Tail, Time, WarmTime, usual
from embedrec.splitting.test_cases import Questions, companions, next_items, rest
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.training.context import Run
from embedrec.workflows.prepare import counts, provenance, recipe_of

Protocol = Literal["next", "last", "rest", "users", "similar"]
PROTOCOLS: dict[str, str] = {
    "next": "the next item after every prefix of every held-out session",
    "last": "the last item of every held-out session",
    "rest": "the rest of every held-out session, its first items given",
    "users": "what is held out of a user's events, the earlier ones given",
    "similar": "items that stand beside an item in held-out sessions, the item alone given",
}


@dataclass(frozen=True, eq=False)
class Trial:
    """What is trained on and what is asked.

    source    the sessions artifact
    rule      how it was split, in words
    part      "test", or "valid": cut from the training part by the same rule
    whole     whether the training part is the whole artifact, so that models trained on it can be asked as they are
    checked   what the leak check found, a sentence each
    protocol  what the questions are, see PROTOCOLS
    """

    source: Artifact
    rule: str
    part: Literal["test", "valid"]
    whole: bool
    train: Sessions
    test: HeldOut
    checked: list[str]
    protocol: Protocol
    questions: Questions

    def repeats(self) -> bool:
        """Whether training sessions hold an item twice, so that seen items may come back."""
        train, n = self.train, max(len(self.train.vocab), 1)
        return len(np.unique(train.session_of * n + train.items)) < len(train.items)


def rule_of(text: str) -> Rule:
    """A rule from "time" or "time:days=7". Raises SettingsError for an unknown rule or setting."""
    name, _, settings = text.partition(":")
    if name not in SPLITS:
        hint = did_you_mean(name, SPLITS) or f"; there are {', '.join(SPLITS)}"
        raise SettingsError(f"no split is called {name!r}{hint}")
    parts = [part for part in settings.split(",") if part]
    odd = next((part for part in parts if "=" not in part), None)
    if odd is not None:
        raise SettingsError(f"settings of a split are key=value, as in time:days=7, but {odd!r} has no '='")
    pairs = parse_pairs(parts)
    return build(SPLITS[name], pairs, given=f"--split {text}")  # type: ignore[arg-type]


def in_words(rule: Rule) -> str:
    """A rule as `rule_of` reads it: "time:days=7"."""
    given = ",".join(f"{k}={v}" for k, v in settings_of(rule).items() if v is not None)
    return rule.name + (f":{given}" if given else "")


def checked_split(rule: Rule, sessions: Sessions, *, seed: int = 0) -> tuple[Split, list[str]]:
    """The parts, and what the leak check found. Raises DataError for a leak."""
    split = rule.split(sessions, seed=seed)
    return split, check_leaks(*split, in_time=isinstance(rule, Time | WarmTime))


def open_trial(
    source: Artifact,
    *,
    split: str | None = None,
    valid: bool = False,
    protocol: Protocol | None = None,
    given: int | None = None,
    seed: int = 0,
) -> Trial:
    """Split a sessions artifact and make the questions.

    split     a rule, as "time:days=7"; None takes the held-out part of the artifact, else what fits the data (`usual`)
    valid     ask about a validation part, cut from the training part by the same rule
    protocol  None takes what fits the split
    given     for "rest": so many first items are given

    Raises SettingsError, DataError for what does not fit together.
    """
    train, test = Sessions.load(source), HeldOut.load(source)
    rule: Rule | None = None
    whole = split is None and test is not None
    if split is not None or test is None:
        rule = _usual(train, protocol) if split is None else rule_of(split)
        (train, test), checked = checked_split(rule, train, seed=seed)
    else:
        said = source.about.get("split", {})
        if said.get("rule") in SPLITS:
            rule = build(SPLITS[said["rule"]], said["settings"], given=str(source.folder))  # type: ignore[arg-type]
        checked = check_leaks(train, test, in_time=isinstance(rule, Time | WarmTime))
    words = "given" if rule is None else in_words(rule)
    if valid:
        # the moment of a split in time lies behind all of its training part
        past = isinstance(rule, Time | WarmTime) and rule.at is not None
        again = _like(train, test) if rule is None or past else rule
        (train, test), checked = checked_split(again, train, seed=seed)
        words, whole = f"{in_words(again)} of the training part", False
    chosen = protocol or _usual_protocol(rule)
    questions = _questions(chosen, test, train, given, seed)
    return Trial(source, words, "valid" if valid else "test", whole, train, test, checked, chosen, questions)


@dataclass(frozen=True, eq=False)
class Contender:
    """A model that answers.

    seconds  of its training now; None where it was trained before
    origin   where it comes from, in words
    exact    the model that searches exactly, where this one searches through an index
    """

    name: str
    model: Model
    seconds: float | None
    origin: str
    exact: Model | None = None


def contender(
    workspace: Workspace,
    name: str,
    trial: Trial,
    *,
    config: Path | None = None,
    pairs: Iterable[str] = (),
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    report: Report = quiet,
) -> Contender:
    """The model of that name, trained on the training part and nothing else.

    A trained model is asked as it is when it was trained on exactly that part; else its settings are trained again. A
    name of no trained model is that of a recipe in MODELS, trained now. Imported vectors are taken as they are: what
    they have seen is not known.
    """
    trained = workspace.named("model", name)
    pairs = list(pairs)
    if trained is not None:
        recipe = trained.about["recipe"]
        if recipe not in MODELS:
            model = _asked_as(trial, _of_catalogue(trained, trial.train.vocab))
            return Contender(name, model, None, "imported; whether it has seen the held-out part is not known")
        same = (trained.about.get("trained_on") or {}).get("fingerprint") == trial.source.fingerprint
        fresh = trained.about.get("continued_from") is None
        if trial.whole and same and fresh and not pairs and config is None:
            model = _asked_as(trial, load_model(trained))
            if isinstance(model, SessionKnnModel):  # what was saved does not say how many threads there are now
                model = model.with_threads(threads)
            return Contender(name, model, None, "trained before, on the training part")
        settings = recipe_of(restorer_class(recipe), config, pairs, trained.about["settings"])
        origin = "its settings, trained now on the training part"
    else:
        settings = recipe_of(recipe_class(name), config, pairs)
        origin = "trained now on the training part"
    return trained_now(settings, trial, name, origin=origin, seed=seed, threads=threads, device=device, report=report)


def trained_now(
    recipe: Recipe,
    trial: Trial,
    name: str,
    *,
    origin: str,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    report: Report = quiet,
) -> Contender:
    """A recipe, trained on the training part."""
    started = perf_counter()
    run = Run(device_of(recipe, device, report))
    model = fitted(recipe, trial.train, seed=seed, threads=threads, report=report, run=run)
    return Contender(name, _asked_as(trial, model), perf_counter() - started, origin)


def check_names(workspace: Workspace, names: Iterable[str]) -> None:
    """Raises SettingsError, with near misses, for a name of no trained model and no recipe: before any is trained."""
    known = list(dict.fromkeys([*(f.name for f in workspace.folders("model")), *MODELS]))
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise SettingsError(f"no model is called {name!r}{hint}")
        if name in MODELS:
            check_torch(recipe_class(name)())


def check_session_knn(workspace: Workspace, name: str) -> None:
    """Raises SettingsError for a model or recipe that listens to no neighbours: before it is trained."""
    trained = workspace.named("model", name)
    if not issubclass(restorer_class(name if trained is None else trained.about["recipe"]), SessionKnn):
        able = ", ".join(key for key in MODELS if issubclass(recipe_class(key), SessionKnn))
        raise SettingsError(f"a grid is of numbers of neighbours, but {name} has none; session kNN has: {able}")


def searching(contender: Contender, kind: str, trial: Trial, *, seed: int = 0, report: Report = quiet) -> Contender:
    """The same, its model searching through an index of that type, tuned on histories of the training part.

    Raises SettingsError for a model without vectors.
    """
    from embedrec.index.build import build_index
    from embedrec.index.measure import ASKED

    model = contender.model
    if not isinstance(model, VectorModel):
        raise SettingsError(
            f"{contender.name} has no vectors, so there is nothing to index; leave --through out for it"
        )
    queries = None if trial.protocol == "similar" else some_queries(model, trial.train, ASKED, seed=seed)
    index = build_index(model.answers, kind, queries=queries, seed=seed, report=report)
    origin = f"{contender.origin}; through {index.spec}"
    return replace(contender, model=model.using(index), origin=origin, exact=model)


def exactly(contender: Contender, trial: Trial, terms: Terms, *, report: Report = quiet) -> dict[str, float]:
    """Recall and reciprocal rank at the longest list of a contender that searches through an index, had it searched
    exactly: what the index costs. {} for others."""
    if contender.exact is None:
        return {}
    k = terms.at[-1]
    metrics = ask(trial, contender.exact, replace(terms, at=(k,), draws=0), report=report).metrics
    return {key: metrics[key] for key in (f"recall@{k}", f"mrr@{k}")}


def labels_of(trial: Trial, text: str) -> Any:
    """Labels of the training vocabulary: (n, g) sparse 0/1 matrix.

    text  the name of a list feature of the items, or a file with ids (or names) in one column and lists in another

    Raises SettingsError when there is no such feature or file, DataError when no item has labels.
    """
    import scipy.sparse as sp

    vocab = trial.train.vocab
    features = trial.train.item_features
    there = [] if features is None else list(features.lists)
    if features is not None and text in there:
        found = features.aligned(vocab).lists[text]
    elif Path(text).is_file():
        found = read_labels(Path(text), vocab)
    else:
        hint = f"; its items have the lists {', '.join(there)}" if there else "; its items have no lists"
        raise SettingsError(f"{text!r} is neither a file nor a list of the items of {trial.source.name}{hint}")
    codes = sp.csr_array((np.ones(len(found.codes)), found.codes, found.offsets), (len(vocab), len(found.names)))
    codes.sum_duplicates()
    codes.data[:] = 1
    return codes


def relevant_ids(trial: Trial, terms: Terms) -> np.ndarray:
    """The ids of the targets that are asked for, (T,), as `evaluate` asks: also those that training does not know."""
    questions = trial.questions
    ids = questions.sessions.vocab.ids[questions.targets]
    if terms.unknown == "drop":
        ids = ids[questions.recoded(trial.train.vocab).targets >= 0]
    return ids


def write_split(source: Artifact, folder: Path, rule: Rule, *, seed: int = 0) -> tuple[Artifact, list[str]]:
    """Split a sessions artifact and write both parts as the sessions artifact `folder`; and what the leak check found.

    Raises DataError when the artifact has a held-out part already, or the rule does not fit.
    """
    artifacts.check_place(folder)
    if HeldOut.load(source) is not None:
        raise DataError(f"sessions {source.name} have a held-out part already; split the sessions they were made from")
    split, checked = checked_split(rule, Sessions.load(source), seed=seed)
    about = {
        "of": provenance(source),
        "split": {"rule": rule.name, "settings": settings_of(rule), "seed": seed, "checked": checked},
        **counts(split.train),
        "test_sessions": len(split.test),
        "test_events": len(split.test.sessions.items),
    }
    with artifacts.writing(folder, "sessions", about, made_from=source) as draft:
        split.train.write(draft)
        split.test.write(draft)
    return artifacts.read(folder, "sessions"), checked


def ask(trial: Trial, model: Model, terms: Terms, *, labels: Any = None, report: Report = quiet) -> Evaluation:
    """Ask a model the questions of a trial; `labels` are for "similar"."""
    if trial.protocol == "similar":
        return evaluate_similar(model, trial.questions, trial.train, terms, labels=labels, report=report)
    return evaluate(model, trial.questions, trial.train, terms, report=report)


def about(trial: Trial, terms: Terms) -> dict[str, Any]:
    """What was asked, and how it was judged: flat, for JSON and for the manifest of a run."""
    return {
        "sessions": trial.source.name,
        "split": trial.rule,
        "part": trial.part,
        "protocol": trial.protocol,
        "ties": terms.ties,
        "seen": "kept" if terms.seen else "removed",
        "unknown": terms.unknown,
        "train_sessions": len(trial.train),
        "train_events": len(trial.train.items),
        "catalogue": len(trial.train.vocab),
        "test_sessions": len(trial.test),
        "source": provenance(trial.source)["fingerprint"],
    }


def _asked_as(trial: Trial, model: Model) -> Model:
    """For "similar", the model that answers as `embedrec similar` does."""
    return model.by_similarity() if trial.protocol == "similar" and isinstance(model, VectorModel) else model


def _of_catalogue(trained: Artifact, vocab: Vocab) -> Model:
    """An imported model without the items that training lacks: only the catalogue is ranked."""
    model = load_model(trained)
    rows = vocab.rows_of(model.vocab.ids)
    known = rows >= 0
    if not known.any():
        raise DataError(f"model {trained.name} has no item of the training part; check that their ids are the same")
    arrays = {name: array[known] for name, array in model.arrays.items()}
    return model.recipe.restore(vocab.take(rows[known]), arrays)


def _like(train: Sessions, test: HeldOut) -> Rule:
    """For a held-out part that was given: as large a share of the training sessions, the last ones."""
    share = min(max(len(test) / (len(train) + len(test)), 1e-6), 0.5)
    return Tail(share=round(share, 6)) if train.times is None else Time(share=round(share, 6))


def _usual(sessions: Sessions, protocol: Protocol | None) -> Rule:
    """The rule that fits the sessions and the questions: most need whole sessions that are held out."""
    if protocol == "users":
        return WarmTime()
    rule = usual(sessions)
    return Random() if isinstance(rule, LastItem) and protocol in ("next", "rest", "similar") else rule


def _usual_protocol(rule: Rule | None) -> Protocol:
    usual: dict[str, Protocol] = {"last-item": "last", "warm-time": "users"}
    return usual.get("" if rule is None else rule.name, "next")


def _questions(protocol: Protocol, test: HeldOut, train: Sessions, given: int | None, seed: int) -> Questions:
    if given is not None and protocol != "rest":
        raise SettingsError(f"--given is for --protocol rest, but the protocol is {protocol}")
    if protocol in ("next", "last"):
        return next_items(test, "every" if protocol == "next" else "last")
    if protocol == "similar":
        return companions(test, train.vocab, seed=seed)
    if protocol == "users":
        return rest(test)
    return rest(test, 1 if given is None else given)
