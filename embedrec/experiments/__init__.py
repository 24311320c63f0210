"""Experiments: one TOML file describes all steps, and a run repeats only the steps that changed."""
