"""Features of candidates by subject: each file declares its features, fits their tables, and computes them."""
