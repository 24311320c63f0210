from __future__ import annotations

import faiss
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from embedrec.runtime import limit_threads


def test_faiss_and_every_loaded_blas_are_limited() -> None:
    before = faiss.omp_get_max_threads()
    with threadpool_limits(2, user_api="blas"):
        _ = np.ones((2, 2)) @ np.ones((2, 2))
        try:
            limit_threads(1)
            assert faiss.omp_get_max_threads() == 1
            assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}
        finally:
            faiss.omp_set_num_threads(before)
