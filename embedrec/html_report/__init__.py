"""One HTML page about a data set and what was made of it: self-contained, without a network."""
