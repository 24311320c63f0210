"""Policies: what is done to lists, fetched longer than they will be written, before they are written.

Each is one small object with `apply(seeds, lists)`. They come in this order, whatever the order of the options:

1. what goes: minimum score, minimum evidence, mutual neighbours; scores are still those of the source
2. what scores: hubness correction (CSLS), popularity discount
3. what is chosen: caps on attributes, then diversity (MMR)
4. what fills: back-off, after which the caps hold again
5. the first k
"""
