"""An experiment on twelve sessions."""

from __future__ import annotations

EXPERIMENT_LISTS = ["ab", "abc", "abd", "bd", "ad", "adb", "ca", "cab", "bc", "dab", "cd", "bda"]
EXPERIMENT = """\
[prepare]
source = "table"
paths = ["{data}/plays.csv"]
name = "plays"

[split]
rule = "tail"
share = 0.25

[[train]]
model = "popular"

[[train]]
model = "ar"

[compare]
at = [2]
draws = 0
metrics = ["recall@2"]

[[export]]
file = "similar.txt"
model = "ar"
"""
