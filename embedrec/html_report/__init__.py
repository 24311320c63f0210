"""A report: one self-contained HTML page about a data set, its models and indexes; it loads nothing."""
