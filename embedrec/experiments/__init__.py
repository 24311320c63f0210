"""Studies: a whole experiment in one TOML file, of which a run does again only what changed."""
