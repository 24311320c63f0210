"""A study from its TOML file: tables checked, names resolved, and the steps in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from embedrec.config import build, read_toml
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.errors import SettingsError, did_you_mean
from embedrec.experiments import schema
from embedrec.experiments import steps as works
from embedrec.experiments.paths import check_apart, check_file
from embedrec.experiments.step import Step, Study
from embedrec.experiments.validate import (
    check_evaluation,
    check_exported,
    check_known,
    check_shown,
    check_table,
    check_vectors,
)
from embedrec.export.file_format import layout_of
from embedrec.export.policies.chain import Policies
from embedrec.export.write_lists import ExportSettings
from embedrec.index.index_types import AUTO, factory_string
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.index.target import promised
from embedrec.models import recipe_class
from embedrec.models.pair_counts import Bounded
from embedrec.models.session_encoders import Weights
from embedrec.models.torch_recipe import check_torch
from embedrec.readers import READERS, reader
from embedrec.splitting.rules import SPLITS
from embedrec.storage.artifacts import plain_from
from embedrec.workflows.build_index import index_name

T = TypeVar("T")
_TABLES = ("prepare", "split", "ask", "compare", "report")  # one of each at most
_LISTS = ("train", "index", "evaluate", "export", "table")
_KEYS = ("title", "name", "seed", *_TABLES, *_LISTS)


def read_study(path: Path, *, data: str | None = None) -> Study:
    """The study in a TOML file.

    data  what "{data}" stands for in its texts

    Raises SettingsError for a file that is no study: unknown tables and keys, with the nearest valid ones, names of
    what is not in it, settings that a model does not take.
    """
    given = _filled(read_toml(path), data, path)
    _check_shape(given, path)
    seed = given.get("seed", 0)
    schema.check_seed(seed, f" in {path}")
    name = given.get("name", plain_from(path.stem))
    prepare = _prepare(given["prepare"])
    steps: list[Step] = [prepare]
    if "split" in given:
        steps.append(_split(given["split"], steps[0].name, steps[0].made, seed))
    sessions, after = steps[-1].made, steps[-1].name
    ask = {"seed": seed, **given.get("ask", {})}
    build(schema.Ask, ask, given="[ask]")
    trained: dict[str, works.Train] = {}
    for one in given.get("train", ()):
        step = _train({"seed": seed, **one}, sessions, after, build(schema.Ask, ask, given="[ask]"))
        _once(step.made, trained, "[[train]]")
        trained[step.made] = step
    steps += trained.values()
    indexed: dict[str, works.Index] = {}
    for one in given.get("index", ()):
        found = _index({"seed": seed, **one}, trained, sessions)
        _once(found.made, indexed, "[[index]]")
        indexed[found.made] = found
    steps += indexed.values()
    judged: dict[str, works.Judge | works.Sweep] = {}
    for one in given.get("evaluate", ()):
        table = build(schema.Evaluate, {**ask, **one}, given="[[evaluate]]")
        check_known(table.model, trained, "[[evaluate]]")
        table = replace(table, name=table.name or table.model)
        _once(table.name, judged, "[[evaluate]]")
        check_evaluation(table, trained[table.model].recipes[0])
        judged[table.name] = works.evaluation(table, sessions, trained[table.model].name)
    if "compare" in given:
        judged[""] = _comparison({**ask, **given["compare"]}, sessions, trained)
    steps += judged.values()
    steps += [_export(one, trained, indexed) for one in given.get("export", ())]
    if "table" in given:
        steps.append(_tables(given["table"], judged, trained, steps[0].made, sessions, after))
    if "report" in given:
        shown = build(schema.Report, {"seed": seed, **given["report"]}, given="[report]")
        check_file(shown.file, "[report]")
        title = str(given.get("title", name))
        comparison = next((s for s in reversed(judged.values()) if isinstance(s, works.Judge)), None)
        shown_tables = steps[-1] if "table" in given else None
        before = tuple(step.name for step in steps)
        made = tuple(trained), tuple(indexed)
        steps.append(works.Reported(shown, title, sessions, *made, comparison, shown_tables, before))
    _check_unique(steps)
    test = () if prepare.table.test is None else (prepare.table.test,)
    return Study(str(name), str(given.get("title", name)), tuple(steps), path, (*prepare.table.paths, *test))


def _check_shape(given: Mapping[str, Any], path: Path) -> None:
    for key, value in given.items():
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS) or f"; valid are {', '.join(_KEYS)}"
            raise SettingsError(f"unknown table or key {key!r} in {path}{hint}")
        if key in _TABLES and not isinstance(value, Mapping):
            raise SettingsError(f"{key!r} in {path} must be one table, [{key}]")
        if key in _LISTS and not (isinstance(value, list) and all(isinstance(one, Mapping) for one in value)):
            raise SettingsError(f"{key!r} in {path} must be a list of tables, [[{key}]]")
    if "prepare" not in given:
        raise SettingsError(f"{path} has no table [prepare], which says what data it is about")


def _filled(value: Any, data: str | None, path: Path) -> Any:
    """The same with "{data}" in texts replaced."""
    if isinstance(value, Mapping):
        return {key: _filled(one, data, path) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, data, path) for one in value]
    if isinstance(value, str) and "{data}" in value:
        if data is None:
            raise SettingsError(f"{path} asks for a folder of data ({value}); name it with --data")
        return value.replace("{data}", data)
    return value


def _prepare(given: Mapping[str, Any]) -> works.Prepare:
    own = [f.name for f in fields(schema.Prepare)]
    table = build(schema.Prepare, {k: v for k, v in given.items() if k in own}, given="[prepare]")
    read = reader(table.source)
    settings = {f.name for f in fields(read)} - {"name"}  # [prepare] has a name of its own, and `title` for a column
    parts = {Filters: {f.name for f in fields(Filters)}, Regroup: {"by", "gap"}, read: settings}
    _check_keys(given, [*own, *(key for keys in parts.values() for key in keys)], "[prepare]")
    if table.test is not None and not callable(getattr(read, "read_test", None)):
        raise SettingsError(
            f"source {table.source} reads no held-out part; leave test out of [prepare], and [split] it"
        )
    if table.title is not None and "name" not in {f.name for f in fields(read)}:
        raise SettingsError(f"title in [prepare] is for the source table, but the source is {table.source}")
    made: dict[Any, Any] = {
        cls: build(cls, {k: given[k] for k in keys if k in given}, given="[prepare]") for cls, keys in parts.items()
    }
    usual = {k: v for k, v in READERS[table.source].filters.items() if k not in given}
    if table.title is not None:
        made[read] = replace(made[read], name=table.title)
    return works.Prepare(
        replace(table, name=table.name or table.source), made[read], replace(made[Filters], **usual), made[Regroup]
    )


def _split(given: Mapping[str, Any], after: str, sessions: str, seed: int) -> works.Split:
    own = [f.name for f in fields(schema.Split)]
    table = build(schema.Split, {"seed": seed, **{k: v for k, v in given.items() if k in own}}, given="[split]")
    if table.rule not in SPLITS:
        hint = did_you_mean(table.rule, SPLITS) or f"; there are {', '.join(SPLITS)}"
        raise SettingsError(f"no split is called {table.rule!r}{hint}")
    cls: Any = SPLITS[table.rule]
    _check_keys(given, [*own, *(f.name for f in fields(cls))], "[split]")
    rule = build(cls, {k: v for k, v in given.items() if k not in own}, given="[split]")
    return works.Split(replace(table, name=table.name or f"{sessions}-{table.rule}"), rule, sessions, after)


def _train(given: Mapping[str, Any], sessions: str, after: str, ask: schema.Ask) -> works.Train:
    table = build(schema.Train, given, given="[[train]]")
    table = replace(table, name=table.name or table.model)
    where = f"[[train]] {table.name}"
    cls = recipe_class(table.model)
    twice = next((key for key in table.grid if key in table.set), None)
    if twice is not None:
        raise SettingsError(f"{twice!r} stands both in set and in grid of {where}; leave one of them out")
    empty = next((key for key, values in table.grid.items() if not values), None)
    if empty is not None:
        raise SettingsError(f"{empty!r} in the grid of {where} has no values; name some")
    if table.grid:
        check_shown([table.best], ask, where)
    combined = (dict(zip(table.grid, values, strict=True)) for values in product(*table.grid.values()))
    recipes = tuple(build(cls, {**table.set, **values}, given=where) for values in combined)
    check_torch(recipes[0])
    if table.memory is not None and not isinstance(recipes[0], Bounded):
        raise SettingsError(f"{where}: {table.model} keeps all in memory; leave memory out")
    return works.Train(table, recipes, ask, sessions, after)


def _index(given: Mapping[str, Any], trained: Mapping[str, works.Train], sessions: str) -> works.Index:
    table = build(schema.Index, given, given="[[index]]")
    check_known(table.model, trained, "[[index]]")
    table = replace(table, name=table.name or index_name(table.model, table.type, table.of))
    if table.type != AUTO:
        factory_string(table.type, 1, 1)  # is there such a type?
    check_vectors(trained[table.model].recipes[0], table.model, f"[[index]] {table.name}")
    promise = promised(table.target_recall, table.max_p95, table.max_ram)
    weights = build(Weights, table.set, given=f"[[index]] {table.name}") if table.set else None
    return works.Index(table, sessions, trained[table.model].name, _search(table), promise, weights)


def _comparison(given: Mapping[str, Any], sessions: str, trained: Mapping[str, works.Train]) -> works.Judge:
    table = build(schema.Compare, given, given="[compare]")
    models = table.models or tuple(trained)
    for model in models:
        check_known(model, trained, "[compare]")
    if len(set(models)) < len(models) or not models:
        raise SettingsError("[compare] needs models, each once; check its `models`, or train some")
    ask = schema.Ask(**{f.name: getattr(table, f.name) for f in fields(schema.Ask)})
    check_shown(table.metrics, ask, "[compare]")
    if table.through is not None:
        for model in models:
            check_vectors(trained[model].recipes[0], model, "through in [compare]")
    return works.Judge("compare", ask, models, table.metrics, sessions, tuple(trained[m].name for m in models))


def _export(
    given: Mapping[str, Any], trained: Mapping[str, works.Train], indexed: Mapping[str, works.Index]
) -> works.Export:
    table = build(schema.Export, given, given="[[export]]")
    check_file(table.file, "[[export]]")
    if (table.model is None) == (table.index is None):
        raise SettingsError(f"[[export]] {table.file} takes a model or an index; name one of them")
    check_known(table.model or table.index or "", trained if table.index is None else indexed, "[[export]]")
    source: Step = trained[table.model] if table.model is not None else indexed[str(table.index)]
    policies = {f.name: getattr(table, f.name) for f in fields(Policies)} | {"caps": table.caps or None}
    layout = layout_of(table.file, table.format, whitespace=table.whitespace, prefix=table.prefix)
    wanted = ExportSettings(table.n, Policies(**policies), table.candidates, layout)
    if not layout.holds_lists and wanted.policies.enabled():
        raise SettingsError(f"[[export]] {table.file} holds vectors, which no policy changes; leave those out")
    if table.model is not None:
        _search(table).need_index(table.model)
        check_exported(trained[table.model].recipes[0], table.model, layout, f"[[export]] {table.file}")
        if table.popularity is not None:
            check_vectors(trained[table.model].recipes[0], table.model, f"popularity in [[export]] {table.file}")
    elif table.popularity is not None:
        raise SettingsError(f"[[export]] {table.file}: an index is as it was built; set popularity in its [[index]]")
    elif indexed[str(table.index)].table.of != "items":
        raise SettingsError(
            f"[[export]] {table.file} takes an index of items, but {table.index} is one of "
            f"{indexed[str(table.index)].table.of}; name another"
        )
    return works.Export(table, source.name, wanted, _search(table))


def _search(table: schema.Index | schema.Export) -> SearchSettings:
    return SearchSettings(**{name: getattr(table, name) for name in KINDS})


def _tables(
    given: Iterable[Mapping[str, Any]],
    judged: Mapping[str, works.Judge | works.Sweep],
    trained: Mapping[str, works.Train],
    prepared: str,
    sessions: str,
    after: str,
) -> works.Tables:
    shown = [build(schema.Table, one, given="[[table]]") for one in given]
    for table in shown:
        check_table(table, judged, trained)
    return works.Tables(tuple(shown), prepared, sessions, after, tuple(judged.items()))


def _check_keys(given: Iterable[str], valid: list[str], where: str) -> None:
    for key in given:
        if key not in valid:
            hint = did_you_mean(key, valid) or f"; valid are {', '.join(valid)}"
            raise SettingsError(f"unknown setting {key!r} in {where}{hint}")


def _once(name: str, there: Mapping[str, Any], where: str) -> None:
    if name in there:
        raise SettingsError(f"{where} has {name!r} twice; give one of them another name")


def _check_unique(steps: Sequence[Step]) -> None:
    seen: set[str] = set()
    for step in steps:
        if step.name in seen:
            raise SettingsError(f"two steps are called {step.name!r}; give one of them another name")
        seen.add(step.name)
    check_apart(step.made for step in steps if isinstance(step, works.Export | works.Reported))
