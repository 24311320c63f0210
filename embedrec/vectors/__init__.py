"""Embeddings, exact search, file formats of vectors, and FAISS indexes as FAISS makes and reads them."""

POINTS_PER_CELL = 39  # FAISS warns about k-means with fewer training points a cell
