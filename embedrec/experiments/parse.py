"""Parse an experiment's TOML file: check the tables, resolve the names, order the steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from embedrec.config import build, check_seed, read_toml, settings_of
from embedrec.errors import SettingsError, did_you_mean
from embedrec.experiments import schema
from embedrec.experiments.evaluation_steps import Comparison, NeighbourGrid, base_of, evaluation_step
from embedrec.experiments.export_step import Export
from embedrec.experiments.index_step import Index
from embedrec.experiments.paths import check_apart, check_file
from embedrec.experiments.refresh_step import Refresh
from embedrec.experiments.report_step import ReportStep
from embedrec.experiments.result_tables import ResultTables
from embedrec.experiments.session_steps import Prepare, Split
from embedrec.experiments.step import Experiment, Links, Step, TableStep, check_keys, from_table, toml_keys
from embedrec.experiments.train_step import Train
from embedrec.experiments.validate import (
    check_evaluation,
    check_exported,
    check_known,
    check_measured,
    check_table,
    check_vectors,
)
from embedrec.export.policies.settings import Policies
from embedrec.index.index_types import AUTO, factory_string
from embedrec.models import MODELS
from embedrec.models.pair_counts import PairCountRecipe
from embedrec.splitting.rules import rule_class
from embedrec.storage.artifacts import plain_from, plain_name
from embedrec.workflows.build_index import index_name
from embedrec.workflows.composite_parts import check_packages
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.refresh.settings import RefreshSettings

_TABLES = ("prepare", "split", "ask", "compare", "report")  # at most one of each
_LISTS = ("train", "index", "refresh", "evaluate", "export", "table")
_KEYS = ("title", "name", "seed", *_TABLES, *_LISTS)


@dataclass
class _Tables:
    """The tables parsed so far.

    seed, evaluation  defaults of the tables
    sessions          the step whose sessions are trained on
    evaluations       name, "" for [compare] → step
    """

    seed: int
    evaluation: Mapping[str, Any]
    prepare: Prepare
    sessions: Prepare | Split
    trained: dict[str, Train] = field(default_factory=dict)
    indexed: dict[str, Index] = field(default_factory=dict)
    evaluations: dict[str, Comparison | NeighbourGrid] = field(default_factory=dict)
    refreshes: dict[str, Refresh] = field(default_factory=dict)

    def links(self, model: str) -> Links:
        """The links of a step that takes a model."""
        return Links(sessions=self.sessions.name, after=(self.trained[model].id,))


def read_experiment(path: Path, *, data: str | None = None) -> Experiment:
    """The experiment in a TOML file.

    data  replaces "{data}" in its texts

    Raises SettingsError for unknown tables and keys, with the nearest valid ones, for references to artifacts that the
    experiment does not write, and for settings that a model does not have.
    """
    content = _substitute(read_toml(path), data, path)
    _check_shape(content, path)
    seed = content.get("seed", 0)
    check_seed(seed, f" in {path}")
    name = str(content.get("name", plain_from(path.stem)))
    title = str(content.get("title", name))
    prepare = _prepare(content["prepare"])
    sessions = _split(content["split"], prepare, seed) if "split" in content else prepare
    evaluation = {"seed": seed, **content.get("ask", {})}
    build(EvaluationOptions, evaluation, source="[ask]")
    tables = _Tables(seed, evaluation, prepare, sessions)
    for values in content.get("train", ()):
        _add(_train(values, tables), tables.trained, "[[train]]")
    for values in content.get("index", ()):
        _add(_index(values, tables), tables.indexed, "[[index]]")
    for values in content.get("refresh", ()):
        _add(_refresh(values, tables), tables.refreshes, "[[refresh]]")
    for values in content.get("evaluate", ()):
        _add_evaluation(values, tables)
    if "compare" in content:
        tables.evaluations[""] = _compare(content["compare"], tables)
    steps: list[Step] = [prepare]
    if sessions is not prepare:
        steps.append(sessions)
    steps += [*tables.trained.values(), *tables.indexed.values(), *tables.evaluations.values()]
    steps += tables.refreshes.values()
    steps += [_export(values, tables) for values in content.get("export", ())]
    if "table" in content:
        steps.append(_result_tables(content["table"], tables))
    if "report" in content:
        steps.append(_report(content["report"], title, tables, steps))
    _check_unique(steps)
    test = () if prepare.test is None else (prepare.test,)
    new = [file for step in tables.refreshes.values() for file in step.paths]
    return Experiment(name, title, tuple(steps), path, (*prepare.paths, *test, *new))


def _check_shape(content: Mapping[str, Any], path: Path) -> None:
    for key, value in content.items():
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS) or f"; valid are {', '.join(_KEYS)}"
            raise SettingsError(f"unknown table or key {key!r} in {path}{hint}")
        if key in _TABLES and not isinstance(value, Mapping):
            raise SettingsError(f"{key!r} in {path} must be one table, [{key}]")
        if key in _LISTS and not (isinstance(value, list) and all(isinstance(one, Mapping) for one in value)):
            raise SettingsError(f"{key!r} in {path} must be a list of tables, [[{key}]]")
    if "prepare" not in content:
        raise SettingsError(f"{path} has no table [prepare]; add one with the source and the paths of the data")


def _substitute(value: Any, data: str | None, path: Path) -> Any:
    """The same value, with "{data}" replaced in its texts."""
    if isinstance(value, Mapping):
        return {key: _substitute(one, data, path) for key, one in value.items()}
    if isinstance(value, list):
        return [_substitute(one, data, path) for one in value]
    if isinstance(value, str) and "{data}" in value:
        if data is None:
            raise SettingsError(f"{path} needs a data folder ({value}); pass it with --data")
        return value.replace("{data}", data)
    return value


def _partition(values: Mapping[str, Any], cls: type[TableStep]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of a table that are fields of the step, and the others."""
    own = toml_keys(cls)
    return {k: v for k, v in values.items() if k in own}, {k: v for k, v in values.items() if k not in own}


def _prepare(values: Mapping[str, Any]) -> Prepare:
    table, options = _partition(values, Prepare)
    step = from_table(Prepare, table, "[prepare]", options=options)
    step = replace(step, name=step.name or step.source)
    check_keys(values, [*toml_keys(Prepare), *(key for keys in step.keys().values() for key in keys)], "[prepare]")
    read = next(reversed(step.keys()))
    if step.test is not None and not callable(getattr(read, "read_test", None)):
        raise SettingsError(f"source {step.source} cannot read a held-out file; remove test, and use [split]")
    if step.title is not None and "name" not in {f.name for f in fields(read)}:
        raise SettingsError(f"title in [prepare] is for the source table, but the source is {step.source}; remove it")
    step.settings()  # builds and checks all parts
    return step


def _split(values: Mapping[str, Any], prepare: Prepare, seed: int) -> Split:
    table, options = _partition(values, Split)
    links = Links(sessions=prepare.name, after=(prepare.id,))
    step = from_table(Split, {"seed": seed, **table}, "[split]", options=options, links=links)
    check_keys(values, [*toml_keys(Split), *(f.name for f in fields(rule_class(step.rule)))], "[split]")
    step = replace(step, name=step.name or f"{prepare.name}-{step.rule}")
    step.settings()  # builds and checks the rule
    return step


def _train(values: Mapping[str, Any], tables: _Tables) -> Train:
    evaluation = build(EvaluationOptions, tables.evaluation, source="[ask]")
    links = Links(sessions=tables.sessions.name, after=(tables.sessions.id,), evaluation=evaluation)
    step = from_table(Train, {"seed": tables.seed, **values}, "[[train]]", links=links)
    step = replace(step, name=step.name or step.model)
    where = f"[[train]] {step.name}"
    step = _continued(step, tables, where)
    twice = next((key for key in step.grid if key in step.set), None)
    if twice is not None:
        raise SettingsError(f"{twice!r} is both in set and in grid of {where}; remove one of them")
    empty = next((key for key, options in step.grid.items() if not options), None)
    if empty is not None:
        raise SettingsError(f"{empty!r} in the grid of {where} has no values; add some")
    if step.grid:
        check_measured([step.best], evaluation, where)
    check_packages(step.recipes[0])
    if step.memory is not None and not isinstance(step.recipes[0], PairCountRecipe):
        raise SettingsError(f"{where}: {step.model} has no memory budget; remove memory")
    return step


def _continued(step: Train, tables: _Tables, where: str) -> Train:
    """The same step with the settings of the model that it continues, if it does."""
    if step.start is None:
        if step.align or step.frozen:
            raise SettingsError(f"{where} needs the model whose space is kept; name it with from")
        return step
    check_known(step.start, tables.trained, where)
    before = tables.trained[step.start]
    if before.model != step.model or not MODELS[step.model].warm_start:
        wrong = f"{step.start} is a model of {before.model}" if before.model != step.model else "that has no warm start"
        raise SettingsError(f"{where} cannot continue from {step.start}: {wrong}; leave from out")
    if before.grid or step.grid:
        raise SettingsError(f"{where} cannot continue from {step.start} with a grid; leave one of them out")
    if step.frozen and (step.align or step.set):
        raise SettingsError(f"{where} keeps vectors and settings of {step.start} with frozen; leave align and set out")
    recipe: Any = before.recipes[0]
    base = settings_of(recipe if step.frozen else recipe.continuing(changes=True))
    return replace(step, base=base, links=replace(step.links, after=(*step.links.after, before.id)))


def _index(values: Mapping[str, Any], tables: _Tables) -> Index:
    step = from_table(Index, {"seed": tables.seed, **values}, "[[index]]")
    check_known(step.model, tables.trained, "[[index]]")
    name = step.name or index_name(step.model, step.type, step.of)
    step = replace(step, name=name, links=tables.links(step.model))
    if step.type != AUTO:
        factory_string(step.type, 1, 1)  # checks the type
    check_vectors(tables.trained[step.model].recipes[0], step.model, f"[[index]] {name}")
    _ = step.target, step.weights, step.search  # checks the settings
    return step


def _refresh(values: Mapping[str, Any], tables: _Tables) -> Refresh:
    check_keys(values, [*toml_keys(Refresh), *(f.name for f in fields(RefreshSettings))], "[[refresh]]")
    table, options = _partition(values, Refresh)
    step = from_table(Refresh, table, "[[refresh]]", options={"seed": tables.seed, **options})
    if not tables.trained or tables.sessions is not tables.prepare:
        wrong = "models, and there is no [[train]]" if not tables.trained else "an experiment without [split]"
        raise SettingsError(f"[[refresh]] needs {wrong}: it renews models that are trained on all prepared sessions")
    earlier = list(tables.refreshes.values())
    needed: list[Step] = [*tables.trained.values(), *tables.indexed.values(), *earlier[-1:]]
    step = replace(
        step,
        name=step.name or str(len(earlier) + 1),
        models=tuple(tables.trained),
        indexes=tuple(tables.indexed),
        before=earlier[-1].name if earlier else None,
        links=Links(sessions=tables.sessions.name, after=tuple(one.id for one in needed)),
    )
    if not plain_name(step.name):
        raise SettingsError(f"{step.name!r} cannot name a [[refresh]]; use letters, digits, '.', '_' and '-'")
    step.settings()  # builds and checks the settings
    return step


def _add_evaluation(values: Mapping[str, Any], tables: _Tables) -> None:
    table = build(schema.Evaluate, {**tables.evaluation, **values}, source="[[evaluate]]")
    check_known(table.model, tables.trained, "[[evaluate]]")
    table = replace(table, name=table.name or table.model)
    _check_new(table.name, tables.evaluations, "[[evaluate]]")
    trained = tables.trained[table.model]
    check_evaluation(table, trained.recipes[0])
    tables.evaluations[table.name] = evaluation_step(table, tables.sessions.name, trained.id)


def _compare(values: Mapping[str, Any], tables: _Tables) -> Comparison:
    table = build(schema.Compare, {**tables.evaluation, **values}, source="[compare]")
    trained = tables.trained
    models = table.models or tuple(trained)
    for model in models:
        check_known(model, trained, "[compare]")
    if len(set(models)) < len(models) or not models:
        raise SettingsError("[compare] needs models, each once; check its `models`, or add [[train]]")
    evaluation = base_of(table)
    check_measured(table.metrics, evaluation, "[compare]")
    if table.through is not None:
        for model in models:
            check_vectors(trained[model].recipes[0], model, "through in [compare]")
    after = tuple(trained[m].id for m in models)
    return Comparison("compare", evaluation, models, table.metrics, tables.sessions.name, after)


def _export(values: Mapping[str, Any], tables: _Tables) -> Export:
    check_keys(values, [*toml_keys(Export), *(f.name for f in fields(Policies))], "[[export]]")
    table, options = _partition(values, Export)
    step = from_table(Export, table, "[[export]]", options=options)
    check_file(step.file, "[[export]]")
    where = f"[[export]] {step.file}"
    if (step.model is None) == (step.index is None):
        raise SettingsError(f"{where} takes either a model or an index; set one of them")
    layout = step.lists.layout
    if step.model is not None:
        check_known(step.model, tables.trained, "[[export]]")
        _check_policies(step, where)
        step.search.require_index(step.model)
        recipe = tables.trained[step.model].recipes[0]
        check_exported(recipe, step.model, layout, where)
        if step.popularity is not None:
            check_vectors(recipe, step.model, f"popularity in {where}")
        return replace(step, links=tables.links(step.model))
    index = str(step.index)
    check_known(index, tables.indexed, "[[export]]")
    _check_policies(step, where)
    if step.popularity is not None:
        raise SettingsError(f"{where}: popularity cannot change an existing index; set it in its [[index]]")
    if tables.indexed[index].of != "items":
        raise SettingsError(
            f"{where} needs an index of items, but {index} is one of {tables.indexed[index].of}; choose another"
        )
    return replace(step, links=Links(after=(tables.indexed[index].id,)))


def _check_policies(step: Export, where: str) -> None:
    if not step.lists.layout.holds_lists and step.lists.policies.enabled():
        raise SettingsError(f"{where} contains vectors, to which policies do not apply; remove them")


def _result_tables(values: Iterable[Mapping[str, Any]], tables: _Tables) -> ResultTables:
    parsed = [build(schema.Table, one, source="[[table]]") for one in values]
    for table in parsed:
        check_table(table, tables.evaluations, tables.trained)
    sessions = tables.sessions
    evaluations = tuple(tables.evaluations.items())
    return ResultTables(tuple(parsed), tables.prepare.name, sessions.name, sessions.id, evaluations)


def _report(values: Mapping[str, Any], title: str, tables: _Tables, steps: list[Step]) -> ReportStep:
    table = build(schema.Report, {"seed": tables.seed, **values}, source="[report]")
    check_file(table.file, "[report]")
    comparisons = (step for step in reversed(tables.evaluations.values()) if isinstance(step, Comparison))
    return ReportStep(
        table,
        title,
        tables.sessions.name,
        tuple(tables.trained),
        tuple(tables.indexed),
        next(comparisons, None),
        next((step for step in steps if isinstance(step, ResultTables)), None),
        tuple(tables.refreshes),
        tuple(step.id for step in steps),
    )


def _add(step: Any, steps: dict[str, Any], where: str) -> None:
    _check_new(step.name, steps, where)
    steps[step.name] = step


def _check_new(name: str, earlier: Mapping[str, Any], where: str) -> None:
    if name in earlier:
        raise SettingsError(f"{where} has {name!r} twice; rename one of them")


def _check_unique(steps: Iterable[Step]) -> None:
    ids: set[str] = set()
    for step in steps:
        if step.id in ids:
            raise SettingsError(f"two steps are called {step.id!r}; rename one of them")
        ids.add(step.id)
    check_apart(step.output for step in steps if isinstance(step, Export | ReportStep))
