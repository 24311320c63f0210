"""`--device cuda` of build-index, similar and export."""

from __future__ import annotations

from pathlib import Path

import faiss
import pytest

from embedrec.errors import SettingsError
from embedrec.index import gpu
from embedrec.index.gpu import on_gpu
from tests.cli.conftest import VECTORS, Run, succeed
from tests.conftest import some_embeddings

needs_none = pytest.mark.skipif(gpu.faiss_sees_gpu() or gpu.torch_sees_gpu(), reason="there is a GPU")


@needs_none
def test_a_missing_gpu_is_an_error(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("compass.txt").write_text(VECTORS)
    succeed(run, "vectors", "import", "compass.txt")
    succeed(run, "build-index", "--type", "flat")
    message = f"embedrec: device cuda needs a GPU, but neither FAISS ({faiss.__version__}) nor torch sees one; "
    message += "use --device cpu, or install GPU builds"
    for words in (
        ("build-index", "--device", "cuda"),
        ("similar", "east", "--device", "cuda"),
        ("similar", "east", "--model", "compass", "--device", "cuda"),
        ("export", "x.txt", "--device", "cuda"),
    ):
        result = run(*words)
        assert (result.code, result.out, result.err.splitlines()[-1]) == (1, "", message)
    assert run("export", "x.txt", "--device", "cuda", "--of", "sessions").code == 2
    with pytest.raises(SettingsError, match="nor torch sees one"):
        on_gpu(some_embeddings())


def test_results_equal_those_of_the_cpu(run: Run, compass: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The torch code of the GPU, run on the CPU."""
    monkeypatch.setattr(gpu, "torch_sees_gpu", lambda: True)
    create = gpu.GpuExactSearch.of
    monkeypatch.setattr(gpu.GpuExactSearch, "of", lambda embeddings, device: create(embeddings, "cpu"))
    workspace = ("--workspace", compass)
    for words in (("similar", "east", "-n", 3), ("similar", "east", "--model", "compass"), ("export", "-", "-n", 2)):
        result = succeed(run, *words, *workspace, "--device", "cuda")
        assert result.out == succeed(run, *words, *workspace).out != ""
