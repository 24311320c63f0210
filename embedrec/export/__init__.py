"""Getting neighbours out, for other services to load."""
