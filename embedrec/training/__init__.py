"""Training with torch: the loop, checkpoints, devices, optimizers, and data-parallel processes.

`context` and `settings` do not import torch, because recipes and commands import them.
"""
