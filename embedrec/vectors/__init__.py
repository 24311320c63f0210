"""Embeddings, exact search, file formats of vectors, and the FAISS indexes below an Index."""

POINTS_PER_CELL = 39  # FAISS warns about k-means with fewer training points per cell
