"""Search and k-means on a GPU: through FAISS if it is built for GPUs, otherwise by blockwise matrix products in torch.

An index is always stored, saved and measured as a CPU index. Results are rescored on the CPU, so that scores have the
same bits wherever a search runs.
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
from embedrec.index.construct import largest_norm, stored_vectors
from embedrec.index.exact_results import replace_results, rescore, search_verified
from embedrec.index.index import SPARE, Index
from embedrec.index.index_types import AUTO, factory_string
from embedrec.index.search_parameters import faiss_parameters
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import Comparison, check_queries, unit
from embedrec.vectors.faiss_structure import below_transforms

GPU_LIMIT = 2048  # results, and visited cells, of a FAISS search on a GPU
_GPU_TYPES = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ)
BLOCK_SCORES = 1 << 26  # scores computed at a time: 256 MB
_KMEANS_ITERATIONS = 10
_TRAINING_PER_CELL, _TRAINING = 64, 1 << 16  # training vectors of k-means
_CELLS = re.compile(r"(?:Pad\d+,)?IVF(\d+),[^,]+")  # factory strings whose cells are of untransformed vectors


def check_gpu() -> None:
    """Raises SettingsError unless FAISS or torch sees a GPU."""
    if faiss_sees_gpu():
        return
    need_package("torch", "device cuda")
    if not torch_sees_gpu():
        raise SettingsError(
            f"device cuda needs a GPU, but neither FAISS ({faiss.__version__}) nor torch sees one; "
            "use --device cpu, or install GPU builds"
        )


def faiss_sees_gpu() -> bool:
    """Whether FAISS is built for GPUs and sees one."""
    return bool(faiss.get_num_gpus())


def torch_sees_gpu() -> bool:
    """Whether torch is installed, and sees a GPU."""
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def on_gpu(source: Index | Embeddings) -> GpuIndex | GpuExactSearch:
    """An index, or exact search in embeddings, on the first GPU.

    FAISS copies the index itself; if only torch sees the GPU, its vectors are copied and the search is exact.
    Raises SettingsError without a GPU, and for types of FAISS indexes that do not support it.
    """
    check_gpu()
    if isinstance(source, Index) and faiss_sees_gpu():
        return GpuIndex.of(source)
    need_package("torch", "exact search on a GPU")
    if not torch_sees_gpu():
        raise SettingsError(
            "exact search on a GPU needs torch, which sees no GPU; search an index, or use --device cpu"
        )
    return GpuExactSearch.of(source.embeddings if isinstance(source, Index) else source, "cuda")


@dataclass(frozen=True, eq=False)
class GpuIndex(Index):
    """An index whose searches run on a GPU through FAISS; filtered searches run partly on the CPU.

    gpu  the copy of the FAISS index on the GPU
    """

    gpu: Any = None

    @classmethod
    def of(cls, index: Index) -> GpuIndex:
        """Raises SettingsError for a type that does not support GPUs."""
        if not isinstance(below_transforms(index.faiss), _GPU_TYPES):
            raise SettingsError(
                f"{index.spec} does not support GPUs; build flat, ivf, ivf-sq8 or ivfpq, or use --device cpu"
            )
        try:
            gpu_index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index.faiss)
        except RuntimeError as e:
            message = reason(e).rpartition(": ")[2]
            raise SettingsError(f"FAISS cannot copy {index.spec} to a GPU: {message}; use --device cpu") from e
        return cls(**{f.name: getattr(index, f.name) for f in fields(Index)}, gpu=gpu_index)

    def effective_settings(self, settings: SearchSettings, k: int) -> SearchSettings:
        """See `Index.effective_settings`; cells do not grow beyond the limit of a GPU."""
        effective = super().effective_settings(settings, k)
        if settings.nprobe is None and self.settings.nprobe is not None and effective.cells > GPU_LIMIT:
            return replace(effective, nprobe=max(self.settings.nprobe, GPU_LIMIT))
        return effective

    def prefers_exact(self, k: int, settings: SearchSettings) -> bool:
        """See `Index.prefers_exact`; on a GPU an approximate search is faster."""
        return False

    def _search_labels(self, prepared: np.ndarray, count: int, settings: SearchSettings) -> np.ndarray:
        """See `Index._search_labels`; raises SettingsError beyond the limits of a GPU."""
        check_gpu_limit(count, settings)
        labels: np.ndarray = self.gpu.search(prepared, count, params=faiss_parameters(self.faiss, settings))[1]
        return labels

    def _search_flat(self, queries: np.ndarray, k: int, settings: SearchSettings, subset: np.ndarray | None) -> TopK:
        """See `Index._search_flat`; a filtered search runs on the CPU."""
        if subset is not None or not len(queries):
            return super()._search_flat(queries, k, settings, subset)
        count = min(k + SPARE, len(self))
        check_gpu_limit(count, settings)

        def search(queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
            scores, labels = self.gpu.search(queries, count)
            return self._rows_of_labels(labels), -scores if self.metric == "l2" else scores

        return search_verified(
            self.embeddings, queries, k, None, self.prepare_queries(queries), search, count, difference_first=False
        )


def check_gpu_limit(count: int, settings: SearchSettings) -> None:
    """Raises SettingsError for more candidates or cells than FAISS supports on a GPU."""
    if count > GPU_LIMIT:
        given = f"{count} candidates (results times rerank, and {SPARE} more)"
    elif settings.cells > GPU_LIMIT:
        given = f"nprobe {settings.cells}"
    else:
        return
    raise SettingsError(f"FAISS supports no more than {GPU_LIMIT} on a GPU, but this is {given}; use --device cpu")


@dataclass(frozen=True, eq=False)
class GpuExactSearch:
    """Exact search by blockwise matrix products in torch, on any device. Results that float32 leaves uncertain are
    replaced by those of `embedrec.vectors.exact_search`.

    embeddings   the searched vectors
    vectors      (n, d) on the device, as `exact_search.Comparison` prepares them
    subtrahends  (n,) on the device, subtracted from products (l2); None for other metrics
    """

    embeddings: Embeddings
    vectors: Any
    subtrahends: Any

    @classmethod
    def of(cls, embeddings: Embeddings, device: str) -> GpuExactSearch:
        """device  "cpu", "cuda" or "cuda:1" """
        import torch

        metric, vectors = embeddings.metric, embeddings.vectors
        comparison = Comparison.of(vectors[:0], metric, embeddings.frame)
        prepared = unit(vectors) if metric == "cosine" else comparison.prepare(vectors)
        subtrahends = comparison.subtrahends
        on_device = None if subtrahends is None else torch.tensor(subtrahends, device=device)
        return cls(embeddings, torch.tensor(np.array(prepared), device=device), on_device)

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
        """See `Index.search`; search settings have no effect."""
        import torch

        queries = check_queries(queries, self.embeddings.dim, k, len(self))
        subset = None if allowed is None else allowed_rows(allowed, len(self))
        n = len(self) if subset is None else len(subset)
        count = min(k + SPARE, n)
        rows = np.full((len(queries), max(k, count)), -1, dtype=np.int64)
        last_candidate = np.full(len(queries), -np.inf)
        comparison = Comparison.of(queries, self.metric, self.embeddings.frame, unit_error=_unit_error())
        if n and len(queries):
            device = self.vectors.device
            prepared = torch.tensor(comparison.queries, device=device)
            searched = slice(None) if subset is None else torch.tensor(subset, device=device)
            vectors = self.vectors[searched]  # (m, d)
            subtrahends = None if self.subtrahends is None else self.subtrahends[searched]  # (m,)
            step = max(1, BLOCK_SCORES // n)
            for start in range(0, len(queries), step):
                scores = prepared[start : start + step] @ vectors.T  # (b, m)
                if subtrahends is not None:
                    scores -= subtrahends
                best = torch.topk(scores, count, dim=1)
                columns = best.indices.cpu().numpy()
                rows[start : start + step, :count] = columns if subset is None else subset[columns]
                last_candidate[start : start + step] = best.values[:, -1].cpu().numpy()
        zero = ~queries.any(axis=1) & (self.metric != "l2")  # all scores are 0, the lowest rows come first
        rows[zero, :count] = np.arange(count) if subset is None else subset[:count]
        results = rescore(self.embeddings.vectors, queries, rows, k, self.metric, self.vocab)
        if count == n:
            return results
        last_result = results.scores[:, k - 1].astype(np.float64)
        uncertain = np.flatnonzero(~comparison.bound.is_certain(last_result, last_candidate) & ~zero)
        return replace_results(results, self.embeddings, queries, uncertain, subset)

    def neighbours(
        self, rows: np.ndarray, k: int, settings: SearchSettings = AS_BUILT, *, allowed: np.ndarray | None = None
    ) -> TopK:
        """See `Index.neighbours`."""
        rows = valid_rows(rows, len(self))
        check_neighbour_count(k, len(self))
        return self.search(self.embeddings.vectors[rows], k + 1, settings, allowed=allowed).without(rows)


def _unit_error() -> float:
    """The relative error of one operation of torch's products: TF32, if allowed, has 10 bits."""
    import torch

    return 2.0**-24 if torch.get_float32_matmul_precision() == "highest" else 2.0**-8


def centroids_on_gpu(embeddings: Embeddings, kind: str, *, seed: int = 0) -> np.ndarray | None:
    """The centroids (c, d) of the cells of this index type, computed on a GPU; None for a type without cells, or with
    cells of transformed vectors. Raises SettingsError without a GPU."""
    check_gpu()
    n, d = len(embeddings), embeddings.dim
    name = "ivf" if kind == AUTO else kind
    augmented = embeddings.metric == "dot"
    match = _CELLS.fullmatch(factory_string(name, n, d + augmented))
    if match is None or int(match[1]) > n:
        return None
    nlist = int(match[1])
    count = min(n, max(_TRAINING, _TRAINING_PER_CELL * nlist))
    rows = np.sort(np.random.default_rng(seed).choice(n, count, replace=False))
    max_norm = largest_norm(embeddings.vectors) if augmented else 0.0
    vectors, spherical = stored_vectors(embeddings, augmented, max_norm)(rows), embeddings.metric == "cosine"
    if torch_sees_gpu():
        return kmeans(vectors, nlist, "cuda", spherical=spherical, seed=seed)
    flat = faiss.IndexFlatL2(vectors.shape[1])
    gpu_index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, flat)
    clustering = faiss.Clustering(vectors.shape[1], nlist)
    clustering.niter, clustering.seed, clustering.spherical = _KMEANS_ITERATIONS, (seed + 1) % 2**31, spherical
    clustering.min_points_per_centroid, clustering.max_points_per_centroid = 1, _TRAINING_PER_CELL
    clustering.train(vectors, gpu_index)
    return faiss.vector_to_array(clustering.centroids).reshape(nlist, -1)


def kmeans(vectors: np.ndarray, count: int, device: str, *, spherical: bool, seed: int = 0) -> np.ndarray:
    """Centroids (count, d) of a k-means (Lloyd 1982) of vectors (m ≥ count, d) float32 in torch.

    spherical  centroids have norm 1

    A centroid that loses all its vectors moves close to that of the largest cell.
    """
    import torch

    rng = np.random.default_rng(seed)
    on_device = torch.tensor(vectors, device=device)
    centroids = on_device[torch.tensor(rng.permutation(len(vectors))[:count], device=device)].clone()
    step = max(1, BLOCK_SCORES // count)
    for _ in range(_KMEANS_ITERATIONS):
        half_squares = (centroids * centroids).sum(dim=1) / 2
        nearest = torch.cat(
            [
                (on_device[start : start + step] @ centroids.T - half_squares).argmax(1)
                for start in range(0, len(on_device), step)
            ]
        )
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, on_device)
        centroids = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], centroids)
        empty = torch.nonzero(sizes == 0).flatten()
        if len(empty):
            largest = torch.argsort(sizes, descending=True, stable=True)[: len(empty)]
            noise = torch.tensor(1 + 1e-3 * rng.choice([-1, 1], (len(largest), centroids.shape[1])), device=device)
            centroids[empty[: len(largest)]] = centroids[largest] * noise.to(centroids.dtype)
        if spherical:
            centroids = torch.nn.functional.normalize(centroids, dim=1)
    return np.ascontiguousarray(centroids.cpu().numpy())
