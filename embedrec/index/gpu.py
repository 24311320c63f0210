"""Searches and k-means on a GPU: through FAISS where it is built for GPUs, else by blocks of a matrix product in torch.

An index is always kept, saved and measured as one of the CPU. What is found is scored again there, so that scores are
the same bits wherever a search ran.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import Any

import faiss
import numpy as np

from embedrec.data.topk import TopK, allowed_rows, check_neighbour_count
from embedrec.data.vocab import Vocab, valid_rows
from embedrec.errors import SettingsError, need_package, reason
from embedrec.index.construct import largest_norm, stored
from embedrec.index.exact_results import replace_results, rescore, search_verified
from embedrec.index.index import SPARE, Index
from embedrec.index.index_types import AUTO, factory_string
from embedrec.index.search_parameters import faiss_parameters
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import Comparison, check_queries, unit

GPU_LIMIT = 2048  # results, and cells visited, of a search on a GPU through FAISS
_SUITED = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ)
BLOCK_SCORES = 1 << 26  # scores computed at a time: 256 MB
_ROUNDS = 10  # of k-means, as FAISS does for cells
_PER_CELL, _ENOUGH = 64, 1 << 16  # vectors that k-means takes
_CELLS = re.compile(r"(?:Pad\d+,)?IVF(\d+),[^,]+")  # factory strings whose cells are of the vectors themselves


def check_gpu() -> None:
    """Raises SettingsError unless FAISS or torch sees a GPU."""
    if faiss_sees_gpu():
        return
    need_package("torch", "device cuda")
    if not torch_sees_gpu():
        raise SettingsError(
            f"device cuda was asked for, but neither FAISS ({faiss.__version__}) nor torch sees a GPU; "
            "take --device cpu, or install builds for a GPU"
        )


def faiss_sees_gpu() -> bool:
    """Whether FAISS is built for GPUs and there is one."""
    return bool(faiss.get_num_gpus())


def torch_sees_gpu() -> bool:
    """Whether torch is installed, and sees a GPU."""
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def on_gpu(source: Index | Embeddings) -> GpuIndex | GpuExactSearch:
    """An index, or exact search in embeddings, on the first GPU.

    An index goes there as it is through FAISS; where only torch sees the GPU, its vectors do, and the search is exact.
    Raises SettingsError where there is no GPU, and for types of FAISS indexes that cannot go there.
    """
    check_gpu()
    if isinstance(source, Index) and faiss_sees_gpu():
        return GpuIndex.of(source)
    need_package("torch", "exact search on a GPU")
    if not torch_sees_gpu():
        raise SettingsError("exact search on a GPU takes torch, which sees none; search an index, or take --device cpu")
    return GpuExactSearch.of(source.embeddings if isinstance(source, Index) else source, "cuda")


@dataclass(frozen=True, eq=False)
class GpuIndex(Index):
    """An index whose searches run on a GPU through FAISS; those among some items only, in part, on the CPU.

    gpu  the same FAISS index there
    """

    gpu: Any = None

    @classmethod
    def of(cls, index: Index) -> GpuIndex:
        """Raises SettingsError for a type that cannot go to a GPU."""
        below = index.faiss
        if isinstance(below, faiss.IndexPreTransform):
            below = faiss.downcast_index(below.index)
        if not isinstance(below, _SUITED):
            raise SettingsError(
                f"{index.spec} cannot go to a GPU; build flat, ivf, ivf-sq8 or ivfpq, or take --device cpu"
            )
        try:
            gpu_index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index.faiss)
        except RuntimeError as e:
            message = reason(e).rpartition(": ")[2]
            raise SettingsError(f"FAISS cannot bring {index.spec} to a GPU: {message}; take --device cpu") from e
        return cls(**{f.name: getattr(index, f.name) for f in fields(Index)}, gpu=gpu_index)

    def effective_settings(self, settings: SearchSettings, k: int) -> SearchSettings:
        """See `Index.effective_settings`; cells do not grow beyond what a GPU can."""
        chosen = super().effective_settings(settings, k)
        if settings.nprobe is None and self.settings.nprobe is not None and chosen.cells > GPU_LIMIT:
            return replace(chosen, nprobe=max(self.settings.nprobe, GPU_LIMIT))
        return chosen

    def prefers_exact(self, k: int, settings: SearchSettings) -> bool:
        """See `Index.prefers_exact`; on a GPU a search through cells is faster."""
        return False

    def _search_labels(self, ready: np.ndarray, reach: int, chosen: SearchSettings) -> np.ndarray:
        """See `Index._search_labels`; raises SettingsError for more than a GPU can."""
        check_gpu_limit(reach, chosen)
        labels: np.ndarray = self.gpu.search(ready, reach, params=faiss_parameters(self.faiss, chosen))[1]
        return labels

    def _search_flat(self, queries: np.ndarray, k: int, settings: SearchSettings, subset: np.ndarray | None) -> TopK:
        """See `Index._search_flat`; among some rows only, on the CPU."""
        if subset is not None or not len(queries):
            return super()._search_flat(queries, k, settings, subset)
        reach = min(k + SPARE, len(self))
        check_gpu_limit(reach, settings)

        def search(queries: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
            scores, results = self.gpu.search(queries, reach)
            return self._rows_of_labels(results), -scores if self.metric == "l2" else scores

        return search_verified(
            self.embeddings, queries, k, None, self.prepare_queries(queries), search, reach, difference_first=False
        )


def check_gpu_limit(reach: int, chosen: SearchSettings) -> None:
    """Raises SettingsError for more results, or cells, than FAISS finds on a GPU."""
    nprobe = chosen.cells
    if reach > GPU_LIMIT or nprobe > GPU_LIMIT:
        what = (
            f"{reach} candidates (results times rerank, and {SPARE} more)" if reach > GPU_LIMIT else f"nprobe {nprobe}"
        )
        raise SettingsError(
            f"FAISS takes no more than {GPU_LIMIT} on a GPU, but is asked for {what}; take --device cpu"
        )


@dataclass(frozen=True, eq=False)
class GpuExactSearch:
    """Exact search by blocks of a matrix product in torch, on a GPU or not; where its float32 leaves the answer open,
    the search of `embedrec.vectors.exact_search` answers.

    embeddings  what is searched
    vectors     the same (n, d) on the device, as `exact.Comparison` prepares them
    less        (n,) on the device: what is subtracted from products of l2; None for others
    """

    embeddings: Embeddings
    vectors: Any
    less: Any

    @classmethod
    def of(cls, embeddings: Embeddings, device: str) -> GpuExactSearch:
        """device  "cpu", "cuda" or "cuda:1" """
        import torch

        metric, vectors = embeddings.metric, embeddings.vectors
        compared = Comparison.of(vectors[:0], metric, embeddings.frame)
        ready = unit(vectors) if metric == "cosine" else compared.prepared(vectors)
        less = None if compared.less is None else torch.tensor(compared.less, device=device)
        return cls(embeddings, torch.tensor(np.array(ready), device=device), less)

    @property
    def vocab(self) -> Vocab:
        return self.embeddings.vocab

    @property
    def metric(self) -> Metric:
        return self.embeddings.metric

    def __len__(self) -> int:
        return len(self.embeddings)

    def search(
        self, queries: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, *, allowed: np.ndarray | None = None
    ) -> TopK:
        """See `Index.search`; settings of indexes change nothing."""
        import torch

        queries = check_queries(queries, self.embeddings.dim, k, len(self))
        subset = None if allowed is None else allowed_rows(allowed, len(self))
        n = len(self) if subset is None else len(subset)
        reach = min(k + SPARE, n)
        rows = np.full((len(queries), max(k, reach)), -1, dtype=np.int64)
        rest = np.full(len(queries), -np.inf)
        compared = Comparison.of(queries, self.metric, self.embeddings.frame, unit_error=_unit_error())
        if n and len(queries):
            device = self.vectors.device
            ready = torch.tensor(compared.queries, device=device)
            chosen = slice(None) if subset is None else torch.tensor(subset, device=device)
            vectors, less = self.vectors[chosen], None if self.less is None else self.less[chosen]  # (m, d), (m,)
            step = max(1, BLOCK_SCORES // n)
            for start in range(0, len(queries), step):
                scores = ready[start : start + step] @ vectors.T  # (b, m)
                if less is not None:
                    scores -= less
                best = torch.topk(scores, reach, dim=1)
                places = best.indices.cpu().numpy()
                rows[start : start + step, :reach] = places if subset is None else subset[places]
                rest[start : start + step] = best.values[:, -1].cpu().numpy()
        nowhere = ~queries.any(axis=1) & (self.metric != "l2")  # everything scores 0, the lowest rows come first
        rows[nowhere, :reach] = np.arange(reach) if subset is None else subset[:reach]
        results = rescore(self.embeddings.vectors, queries, rows, k, self.metric, self.vocab)
        if reach == n:
            return results
        last = results.scores[:, k - 1].astype(np.float64)
        open_ = np.flatnonzero(~compared.bound.sure(last, rest) & ~nowhere)
        return replace_results(results, self.embeddings, queries, open_, subset)

    def neighbours(
        self, rows: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, *, allowed: np.ndarray | None = None
    ) -> TopK:
        """See `Index.neighbours`."""
        rows = valid_rows(rows, len(self))
        check_neighbour_count(k, len(self))
        return self.search(self.embeddings.vectors[rows], k + 1, settings, allowed=allowed).without(rows)


def _unit_error() -> float:
    """The relative error of one operation of torch's products: TF32, where it is allowed, has 10 bits."""
    import torch

    return 2.0**-24 if torch.get_float32_matmul_precision() == "highest" else 2.0**-8


def centroids_on_gpu(embeddings: Embeddings, kind: str, *, seed: int = 0) -> np.ndarray | None:
    """The centres of the cells that an index of this type needs, found on a GPU; None where it has none, or its cells
    come after a transform that is learned. Raises SettingsError where there is no GPU."""
    check_gpu()
    n, d = len(embeddings), embeddings.dim
    name = "ivf" if kind == AUTO else kind
    augmented = embeddings.metric == "dot"
    match = _CELLS.fullmatch(factory_string(name, n, d + augmented))
    if match is None or int(match[1]) > n:
        return None
    nlist = int(match[1])
    count = min(n, max(_ENOUGH, _PER_CELL * nlist))
    rows = np.sort(np.random.default_rng(seed).choice(n, count, replace=False))
    longest = largest_norm(embeddings.vectors) if augmented else 0.0
    vectors = stored(embeddings, augmented, longest)(rows)
    if torch_sees_gpu():
        return kmeans(vectors, nlist, "cuda", spherical=embeddings.metric == "cosine", seed=seed)
    flat = faiss.IndexFlatL2(vectors.shape[1])
    gpu_index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, flat)
    clustering = faiss.Clustering(vectors.shape[1], nlist)
    clustering.niter, clustering.seed, clustering.spherical = _ROUNDS, (seed + 1) % 2**31, embeddings.metric == "cosine"
    clustering.min_points_per_centroid, clustering.max_points_per_centroid = 1, _PER_CELL
    clustering.train(vectors, gpu_index)
    return faiss.vector_to_array(clustering.centroids).reshape(nlist, -1)


def kmeans(vectors: np.ndarray, count: int, device: str, *, spherical: bool, seed: int = 0) -> np.ndarray:
    """Centres (count, d) of a k-means (Lloyd 1982) of vectors (m ≥ count, d) float32 in torch.

    spherical  centres have length 1

    A centre that loses all its vectors goes beside that of the largest cell.
    """
    import torch

    rng = np.random.default_rng(seed)
    on_device = torch.tensor(vectors, device=device)
    centres = on_device[torch.tensor(rng.permutation(len(vectors))[:count], device=device)].clone()
    step = max(1, BLOCK_SCORES // count)
    for _ in range(_ROUNDS):
        half = (centres * centres).sum(dim=1) / 2
        nearest = torch.cat(
            [(on_device[a : a + step] @ centres.T - half).argmax(1) for a in range(0, len(on_device), step)]
        )
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, on_device)
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], centres)
        empty = torch.nonzero(sizes == 0).flatten()
        if len(empty):
            largest = torch.argsort(sizes, descending=True, stable=True)[: len(empty)]
            apart = torch.tensor(1 + 1e-3 * rng.choice([-1, 1], (len(largest), centres.shape[1])), device=device)
            centres[empty[: len(largest)]] = centres[largest] * apart.to(centres.dtype)
        if spherical:
            centres = torch.nn.functional.normalize(centres, dim=1)
    return np.ascontiguousarray(centres.cpu().numpy())
