"""Training with torch: the loop, checkpoints, devices, and several processes that train together.

`run` and `plan` import no torch, so that recipes and commands can name them at no cost.
"""
