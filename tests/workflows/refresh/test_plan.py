"""What a refresh renews."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.models.baselines.popular import Popular
from embedrec.splitting.rules import Time
from embedrec.storage.atomic import sha256
from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh.plan import input_checksums, plan_refresh
from embedrec.workflows.split import write_split
from embedrec.workflows.train import train_model
from tests.conftest import of_lists


def test_models_of_the_sessions_and_their_indexes_are_planned(shop: Workspace) -> None:
    split, _ = write_split(shop.find("sessions", "clicks"), shop.folder("sessions", "part"), Time(share=0.2))
    train_model(Popular(), split, shop.folder("model", "popular"))
    of_lists(["ab", "ba"]).save(shop.folder("sessions", "other"), {})
    plan = plan_refresh(shop)
    assert (plan.sessions.name, [m.name for m in plan.models], [i.name for i in plan.indexes]) == (
        "clicks", ["word2vec", "cooccurrence"], ["word2vec-ivf"],
    )  # fmt: skip
    assert plan.messages == ["model popular is left as it is: it was trained on part, a part of the sessions"]
    assert list(plan.identity()) == [
        "sessions clicks", "model word2vec", "model cooccurrence", "index word2vec-ivf"
    ]  # fmt: skip
    for name in ("part", "other"):
        with pytest.raises(SettingsError, match=f"sessions {name} were not prepared from files"):
            plan_refresh(shop, name)


def test_a_workspace_without_prepared_sessions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no sessions in .* were prepared from files; make them with `embedrec"):
        plan_refresh(Workspace(tmp_path))


def test_inputs_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text(name)
    expected = {str(tmp_path / name): sha256(tmp_path / name) for name in ("a.csv", "b.csv")}
    assert input_checksums([tmp_path]) == input_checksums([tmp_path / "*.csv"]) == expected
    assert list(input_checksums([tmp_path / "a.csv"])) == [str(tmp_path / "a.csv")]
    with pytest.raises(DataError, match=r"c\.csv is no file, folder or pattern of files; check the path"):
        input_checksums([tmp_path / "c.csv"])
