"""How good is a model? Protocols and metrics."""
