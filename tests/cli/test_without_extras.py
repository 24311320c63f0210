"""What runs without any extra, and the sentence that names the extra where one is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import embedrec
from embedrec.datasets.synthetic import World
from embedrec.errors import EXTRAS
from embedrec.models import MODELS, recipe_class
from embedrec.models.torch_recipe import is_torch_recipe
from tests.cli.conftest import Run

# Every command in one process that has none of the packages of the extras.
WALK = f"""\
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {sorted(EXTRAS)}
        return None if absent else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from embedrec.cli.main import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["embedrec", *line.split()]
    try:
        main()
    except SystemExit as e:
        if e.code:
            raise SystemExit(f"{{line}} exited with {{e.code}}")
"""
WITHOUT_TORCH = [name for name in MODELS if not is_torch_recipe(recipe_class(name)())]
COMMANDS = """\
prepare mpd {data} --level artist --name plays
split last-item --sessions plays --name part
train word2vec --sessions plays --set epochs=1 --set dim=8
{trained}
build-index --model word2vec --type ivf
build-index --model svd --type flat
similar {item} --index word2vec-ivf
similar {item} --model mf
recommend {item} --model word2vec
neighbours {item} --model sknn
export lists.txt --model cooccurrence -n 3
diff lists.txt lists.txt
evaluate vsknn
compare popular sr
vectors export v.txt --model word2vec
vectors import v.txt --name imported
publish parquet lists.parquet --index word2vec-ivf
report
info
verify
"""


@pytest.mark.slow
def test_commands_run_without_extras(playlists: Path, world: World, tmp_path: Path) -> None:
    root = str(Path(embedrec.__file__).parents[1])
    names = [name for name in WITHOUT_TORCH if name not in ("word2vec", "ranker")]  # a ranker needs LightGBM
    force = {"fusion": " --force"}  # so few sessions do not show that it is better
    trained = "\n".join(f"train {name} --sessions plays{force.get(name, '')}" for name in names)
    process = subprocess.run(
        [sys.executable, "-c", WALK],
        check=False,
        input=COMMANDS.format(data=playlists, item=world.artists[0].uri, trained=trained),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-800:]


STUDY = """\
[prepare]
source = "table"
paths = ["log.csv"]

[[train]]
model = "gru4rec"
"""


@pytest.mark.parametrize(
    ("module", "words", "purpose"),
    [
        ("torch", "train gru4rec", "training gru4rec"),
        ("torch", "train two-tower", "training two-tower"),
        ("torch", "train neural-cf", "training neural-cf"),
        ("torch", "train sasrec", "training sasrec"),
        ("torch", "train mf --set loss=bpr", "training mf"),
        ("torch", "evaluate two-tower", "training two-tower"),
        ("torch", "compare cooccurrence gru4rec", "training gru4rec"),
        ("torch", "tune neural-cf", "training neural-cf"),
        ("torch", "run study.toml", "training gru4rec"),
        ("torch", "similar a --device cuda", "device cuda"),
        ("torch", "train fusion --candidates sr=3,gru4rec=3", "training gru4rec"),
        ("lightgbm", "train ranker", "training a ranker"),
        ("lightgbm", "train ranker --candidates sr=3,popular=3 --force", "training a ranker"),
        ("lightgbm", "evaluate ranker", "training a ranker"),
        ("lightgbm", "compare popular ranker", "training a ranker"),
        ("lightgbm", "tune ranker", "training a ranker"),
        ("lightgbm", "run rank.toml", "training a ranker"),
        ("gensim", "train word2vec --set backend=gensim", "word2vec with backend=gensim"),
        ("matplotlib", "evaluate sknn --grid", "the plot"),
        ("optuna", "tune popular", "tuning"),
        ("onnx", "vectors export-encoder encoder.onnx", "an ONNX encoder"),
        ("umap", "report --map umap", "the map with umap"),
        ("uvicorn", "serve --bind 127.0.0.1:0", "the service"),
    ],
)  # fmt: skip
def test_messages_name_the_missing_extra(
    run: Run, counted: Path, monkeypatch: pytest.MonkeyPatch, module: str, words: str, purpose: str
) -> None:
    run("train", "svd", "--set", "dim=2")
    run("build-index", "--model", "svd", "--type", "flat")
    Path("study.toml").write_text(STUDY)
    Path("rank.toml").write_text(STUDY.replace("gru4rec", "ranker"))
    monkeypatch.setitem(sys.modules, module, None)
    result = run(*words.split())
    remedy = f"install it with `pip install 'embedrec[{EXTRAS[module]}]'`"
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1] == f"embedrec: {purpose} needs the package {module}; {remedy}"
