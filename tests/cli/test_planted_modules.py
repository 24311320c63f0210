"""Code of the current folder, of the workspace and of the data never runs, in no process of any command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedrec.datasets.synthetic import World
from embedrec.runtime.child_interpreters import command
from tests.cli.conftest import Run, succeed

PLANT = "import os\nopen(os.environ['OWNED'], 'a').write(__name__ + ' ran\\n')\nraise SystemExit(77)\n"
INSTALLED = (
    "click faiss gensim llvmlite matplotlib msgspec numba numpy optuna pandas pip psycopg pyarrow qdrant_client redis"
)
OTHERS = [*INSTALLED.split(), "rich", "safetensors", "scipy", "sitecustomize", "smart_open", "torch", "usercustomize"]

# Every command, one after the other, in one process whose own path holds no folder of the test.
WALK = """\
import sys
from embedrec.cli.main import main
for line in open(sys.argv[1]).read().splitlines():
    sys.argv = ["embedrec", *line.split()]
    print("$", line, flush=True)
    try:
        main()
    except SystemExit as e:
        print("exit", e.code, flush=True)
"""
COMMANDS = """\
demo
prepare mpd {data} --level artist --threads 2
info
split last-item --sessions mpd-artist --name parts
train word2vec --sessions mpd-artist --set epochs=1 --set dim=8 --set similar_popularity=0 --threads 1
train ar --sessions mpd-artist
build-index --type RQ2x4 --model word2vec --name nsg
similar {item} --index nsg
update-index nsg --remove {removed}
verify --recall
recommend {item}
train sknn --sessions mpd-artist
neighbours {item} --model sknn
export lists.txt --index nsg -n 3
diff lists.txt lists.txt
evaluate ar
compare ar sknn
vectors export v.txt --model word2vec
vectors import v.txt
report
"""


def plant_modules(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / f"{name}.py").write_text(PLANT)


def modules_after(code: str, *options: str) -> set[str]:
    """Modules that an interpreter has loaded after `code`."""
    words = [sys.executable, *options, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())


def test_no_command_runs_planted_modules(world: World, playlists: Path, tmp_path: Path) -> None:
    """Also not in the processes that it starts: readers, `pip`, and the one that tries unknown indexes."""
    data, workspace = tmp_path / "data", tmp_path / "workspace"
    data.mkdir()
    workspace.mkdir()
    for file in playlists.iterdir():
        (data / file.name).write_bytes(file.read_bytes())
    names = sorted({*sys.stdlib_module_names, *OTHERS} - {"this", "antigravity"})
    plant_modules(workspace, names)
    plant_modules(data, names)
    item = world.artists[0].uri
    (tmp_path / "removed.txt").write_text(world.artists[1].uri + "\n")
    walk = tmp_path / "walk" / "walk.py"
    walk.parent.mkdir()
    walk.write_text(WALK)
    walk.with_name("commands").write_text(COMMANDS.format(data=data, item=item, removed=tmp_path / "removed.txt"))
    owned = tmp_path / "owned"
    env = {**os.environ, "OWNED": str(owned), "PIP_NO_INDEX": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env.pop("PYTHONSAFEPATH", None)
    process = subprocess.run(
        [sys.executable, str(walk), str(walk.with_name("commands"))],
        cwd=workspace, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not owned.exists(), owned.read_text()
    codes = [line for line in process.stdout.splitlines() if line.startswith("exit ")]
    # `demo` cannot download; everything else was done, the index of an unknown type opened
    assert codes == ["exit 1", *["exit 0"] * (len(COMMANDS.splitlines()) - 1)], process.stdout + process.stderr


def test_python_m_imports_modules_from_the_installation(compass: Path, tmp_path: Path) -> None:
    """Except the modules that Python itself imports for `-m`."""
    names = {*sys.stdlib_module_names, *OTHERS} - modules_after("import runpy")
    plant_modules(compass, sorted(names))
    env = {**os.environ, "OWNED": str(tmp_path / "owned")}
    env.pop("PYTHONSAFEPATH", None)
    words = [sys.executable, "-m", "embedrec", "similar", "north", "-n", "1"]
    process = subprocess.run(words, cwd=compass, env=env, capture_output=True, text=True, check=False)
    assert not (tmp_path / "owned").exists(), (tmp_path / "owned").read_text()
    assert process.returncode == 0 and "north-east" in process.stdout, process.stderr


def test_settings_of_numba_in_the_current_folder_are_not_read(compass: Path) -> None:
    """They may name a folder of kernels that numba unpickles."""
    pytest.importorskip("yaml")
    (compass / ".numba_config.yaml").write_text("cache_dir: planted\ndisable_jit: 1\n")
    code = "import embedrec.kernels.topk; from numba.core import config; config.reload_config()"
    code += "; print(repr(config.CACHE_DIR), config.DISABLE_JIT)"
    env = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    message = subprocess.run(command("-c", code), cwd=compass, env=env, capture_output=True, text=True, check=True)
    assert (message.stdout, message.stderr) == ("'' 0\n", "")


def test_a_matplotlibrc_in_the_current_folder_does_not_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    from embedrec.evaluation.plots import draw_points

    monkeypatch.chdir(tmp_path)
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    points = [{"spec": "Flat", "recall@5": 1.0, "queries_per_second": 10.0, "query_ms_p95": 1.0, "kept": True}]
    with matplotlib.rc_context({"text.usetex": True, "text.latex.preamble": r"\input{planted}"}):
        draw_points(points, "points", tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_text().startswith("<?xml")


def test_the_environment_is_restored(run: Run, compass: Path) -> None:
    """The command line removes the variables that it sets for its children."""
    before = os.environ.get("PYTHONSAFEPATH")
    succeed(run, "info", "--workspace", compass)
    assert os.environ.get("PYTHONSAFEPATH") == before
