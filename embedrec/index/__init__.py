"""FAISS indexes of embeddings: what to build, how to search, what was measured."""
