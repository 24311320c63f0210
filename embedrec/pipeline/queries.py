"""What a model or an index of a pipeline answers: similar items, next items, past sessions; and exports of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from embedrec.data.feature_conditions import Condition
from embedrec.data.item_filter import IdList, ItemFilter
from embedrec.errors import SettingsError
from embedrec.export.file_format import layout_of
from embedrec.export.policies.settings import POLICIES, Policies
from embedrec.export.write_lists import ExportSettings, export_lists
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.pipeline.context import Step, split_options
from embedrec.pipeline.results import ResultTable
from embedrec.storage.lineage import check_current
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows.export import ExportSource, open_export_source
from embedrec.workflows.neighbours import NeighbourSession, nearest_sessions, open_session_neighbours
from embedrec.workflows.recommend import RecommendedItem, open_recommender, recommend_items
from embedrec.workflows.similar import SimilarItem, open_item_neighbours, similar_items

Ids = int | str | Iterable[int | str]
_EXPORTED = {"items": "items", "sessions": "sessions", "answers": "recommendations"}  # of an index → of an export
_FILTER: dict[str, Any] = {"where": (), "only": None, "exclude": None}


class Queried(Step):
    """A model or an index, which answers queries."""

    @property
    def _names(self) -> dict[str, str | None]:
        """The names of the model and the index, one of them None."""
        kind = self.artifact.kind
        return {"model": self.name if kind == "model" else None, "index": self.name if kind == "index" else None}

    def similar(
        self,
        items: Ids,
        k: int | None = None,
        *,
        where: str | Sequence[str] = (),
        only: Iterable[int | str] | None = None,
        exclude: Iterable[int | str] | None = None,
        popularity: float | None = None,
        explain: bool = False,
        **search: int | None,
    ) -> ResultTable[SimilarItem]:
        """The items nearest to each item, as `embedrec similar` finds them.

        items       a name, an id, an id without its URI prefix, or a list of them
        k           neighbours per item; None for 10, or all if there are fewer
        where       conditions on features, such as "year>=2000", "genre=rock|pop"
        only        ids of the items that may be neighbours
        exclude     ids of items that may not
        popularity  exponent of the item norms of a model: 0 for cosine, 1 for dot product
        explain     also the smallest training sessions that contain both items
        search      settings of an index: nprobe, ef_search, rerank

        Raises UnknownItemError, with the closest items, for one that is unknown or ambiguous; SettingsError for a model
        without item neighbours.
        """
        with self.context.running("similar"):
            settings = _search_settings(search, "similar")
            opened = self.opened(
                ("similar", settings, popularity),
                lambda: open_item_neighbours(
                    self._of("items"), settings, popularity=popularity, threads=self.context.threads
                ),
            )
            results = similar_items(
                self.workspace, opened, _texts(items), k, _item_filter(where, only, exclude), explain=explain
            )
        return ResultTable(tuple(results.neighbours), tuple(results.messages))

    def recommend(
        self,
        history: Ids,
        k: int | None = None,
        *,
        where: str | Sequence[str] = (),
        only: Iterable[int | str] | None = None,
        exclude: Iterable[int | str] | None = None,
        exclude_seen: bool = True,
        explain: bool = False,
        **search: Any,
    ) -> ResultTable[RecommendedItem]:
        """The next items after a history, as `embedrec recommend` finds them.

        history       items, oldest first: names or ids
        k             number of items; None for 10
        where, only, exclude  the items that may be recommended, see `similar`
        exclude_seen  whether items of the history are left out
        explain       also the nearest past sessions that contain each item, of session kNN
        search        settings of an index of answers: nprobe, ef_search, rerank; and `popularity` of a model

        Raises UnknownItemError, with the closest items, for one that is unknown or ambiguous.
        """
        with self.context.running("recommend"):
            popularity = search.pop("popularity", None)
            settings = _search_settings(search, "recommend")
            opened = self.opened(
                ("recommend", settings, popularity),
                lambda: open_recommender(
                    self.workspace,
                    **self._names,
                    settings=settings,
                    popularity=popularity,
                    threads=self.context.threads,
                ),
            )
            results = recommend_items(
                self.workspace,
                opened,
                _texts(history),
                k,
                _item_filter(where, only, exclude),
                exclude_seen=exclude_seen,
                explain=explain,
            )
        return ResultTable(tuple(results.items), tuple(results.messages))

    def neighbours(
        self, history: Ids = (), k: int = 10, *, session: int | str | None = None, **search: int | None
    ) -> ResultTable[NeighbourSession]:
        """The past sessions nearest to a history or to a past session, as `embedrec neighbours` finds them.

        history  items, oldest first: names or ids
        session  the id of a past session, in place of a history; the session itself is left out
        search   settings of an index of sessions: nprobe, ef_search, rerank

        Raises UnknownItemError for an unknown item or session, SettingsError for a model without session neighbours.
        """
        items = _texts(history)
        if bool(items) == (session is not None):
            raise SettingsError("give either a history or session=…, the id of a past session")
        with self.context.running("neighbours"):
            settings = _search_settings(search, "neighbours")
            opened = self.opened(
                ("neighbours", settings),
                lambda: open_session_neighbours(self.workspace, **self._names, settings=settings),
            )
            return ResultTable(tuple(nearest_sessions(opened, items, None if session is None else str(session), k)))

    def export(
        self,
        file: str | Path,
        k: int = 20,
        *,
        of: str | None = None,
        format: str | None = None,
        names: bool = False,
        histories: str | Path | None = None,
        resume: bool = False,
        **options: Any,
    ) -> int:
        """Write every item's neighbours to a file, one line an item, as `embedrec export` does.

        file       the suffix chooses the format, see `embedrec export --help`; .vec and .bin hold vectors
        k          results per list
        of         "items", "sessions" or "recommendations"; None uses what an index holds, and items of a model
        format     the format, in place of the suffix
        names      also the names of items, in tables and jsonl
        histories  table of histories, for recommendations
        resume     continue an interrupted export
        options    where, only and exclude (see `similar`), popularity, shards, candidates, and policies: min_score,
                   min_evidence, mutual, csls, discount, caps, mmr, back_off

        Returns the number of lists, or of vectors. Raises SettingsError for options that do not suit the export and for
        an artifact whose sources have changed.
        """
        parts = split_options(
            options,
            {
                "policies": POLICIES,
                "filter": ("where", "only", "exclude"),
                "more": ("popularity", "shards", "candidates"),
            },
            "export",
        )
        more = parts["more"]
        what: Any = (
            of or _EXPORTED[self.artifact.about.get("of", "items") if self.artifact.kind == "index" else "items"]
        )
        with self.context.running("export") as report:
            layout = layout_of(str(file), format, shards=more.get("shards"), names=names)
            policies = Policies(**parts["policies"])
            policies.check(what)
            source = ExportSource(
                what,
                self._names["model"],
                self._names["index"],
                popularity=more.get("popularity"),
                allowed=_item_filter(**{**_FILTER, **parts["filter"]}),
                histories=None if histories is None else Path(histories),
                threads=self.context.threads,
            )
            opened = open_export_source(self.workspace, source)
            check_current(self.workspace, opened.used[:1])
            for message in opened.messages:
                report("note", message=message)
            if not layout.holds_lists:
                vectors = opened.vectors()
                save_vectors(vectors, Path(file), layout.vector_format, report=report)
                return len(vectors)
            settings = ExportSettings(k, policies, more.get("candidates"), layout)
            done = export_lists(
                Path(file),
                opened.lists,
                settings,
                opened.inputs,
                opened.about,
                resume=resume,
                threads=self.context.threads,
                report=report,
            )
        return done.lists

    def _of(self, vectors: str) -> Any:
        """The artifact. Raises SettingsError for an index of other vectors than these."""
        if self.artifact.kind == "index":
            return self.workspace.find("index", self.name, of=vectors)
        return self.artifact


def _search_settings(given: Mapping[str, Any], what: str) -> SearchSettings:
    return SearchSettings(**split_options(given, {"": KINDS}, what)[""])


def _texts(items: Ids) -> list[str]:
    """Items as texts; one item is a list of one."""
    return [str(items)] if isinstance(items, int | str) else [str(item) for item in items]


def _item_filter(
    where: str | Sequence[str], only: Iterable[int | str] | None, exclude: Iterable[int | str] | None
) -> ItemFilter | None:
    """The filter; None if nothing is filtered."""
    texts = (where,) if isinstance(where, str) else tuple(where)
    listed = {"only": only, "exclude": exclude}
    lists = {name: IdList(name, tuple(map(str, ids))) for name, ids in listed.items() if ids is not None}
    return ItemFilter(tuple(map(Condition.of, texts)), lists.get("only"), lists.get("exclude")) or None
