"""A workspace whose ids, names and labels are HTML, and the content of its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.features import Features, Lists
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.html_report.content import ReportContent, ReportSettings, collect_report
from embedrec.models.baselines.popular import Popular
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.compare import comparison_record, default_metrics
from embedrec.workflows.evaluate import describe_task, evaluate_task, open_evaluation_task
from embedrec.workflows.evaluated_models import model_to_evaluate
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.lineage import counts
from embedrec.workflows.train import train_model
from tests.conftest import of_lists

HTML_TEXTS = [
    "<script>alert(1)</script>", "</script><script>alert(2)</script>", "<img src=x onerror=alert(3)>", '" onload="x',
    "' onclick='x", "&lt;b&gt;", "<!--", "]]>", "\u2028line", "{data}", "</style>", "javascript:alert(4)", "a\x00b",
    "\ud800", "nul\x1b", "<svg/onload=alert(5)>",
]  # fmt: skip


def html_sessions(evil: list[str]) -> Sessions:
    """Sessions whose ids, names and labels are HTML, scripts and control characters."""
    rng = np.random.default_rng(0)
    vocab = Vocab([f"{text}{n}" for n, text in enumerate(evil * 2)], names=np.array(evil * 2, dtype=object))
    lists = [rng.choice(vocab.ids, 6, replace=False).tolist() for _ in range(60)]
    made = of_lists(lists, vocab)
    offsets = np.arange(len(vocab) + 1)
    labels = Lists(offsets, np.arange(len(vocab)) % len(evil), np.array(evil, dtype=object))
    features = Features(vocab, lists={"<i>tags": labels})
    ids = np.array([f"<b>{s}" for s in range(len(made))], dtype=object)
    return Sessions(made.offsets, made.items, made.vocab, ids, item_features=features)


def workspace_of(sessions: Sessions, folder: Path) -> Workspace:
    """A workspace of sessions with a held-out part, three models and an index."""
    from embedrec.splitting.rules import Random
    from embedrec.workflows.split import write_split

    workspace = Workspace(folder)
    sessions.save(workspace.folder("sessions", "all"), {**counts(sessions), "source": "<u>table"})
    whole = artifacts.read(workspace.folder("sessions", "all"), "sessions")
    source, _ = write_split(whole, workspace.folder("sessions", "part"), Random(0.2))
    for recipe in (Popular(), Word2Vec(dim=4, epochs=3, min_count=1), Cooccurrence()):
        train_model(recipe, source, workspace.folder("model", recipe.name))
    build_index_artifact(workspace.find("model", "word2vec"), workspace.folder("index", "flat"), IndexSettings("flat"))
    return workspace


def comparison_of(workspace: Workspace) -> dict[str, Any]:
    task = open_evaluation_task(workspace.find("sessions", "part"))
    terms = EvaluationOptions(at=(1, 5), draws=20).settings(task)
    done = {}
    for name in ("popular", "word2vec"):
        model = model_to_evaluate(workspace, name, task)
        done[name] = model, evaluate_task(task, model.model, terms)
    return {**describe_task(task, terms), **comparison_record(done, default_metrics(5, labelled=False), task.train)}


def full_content(
    report_workspace: Workspace, tables: list[dict[str, Any]] | None = None, report: Report = quiet, **settings: Any
) -> ReportContent:
    return collect_report(
        report_workspace,
        "part",
        ("popular", "word2vec", "cooccurrence"),
        ("flat",),
        ReportSettings(**settings),
        comparison=comparison_of(report_workspace),
        tables=tables or (),
        report=report,
    )
