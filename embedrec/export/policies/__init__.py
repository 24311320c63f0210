"""Policies: changes to candidate lists before they are written.

Each policy is a small object with `apply(seeds, lists)`. Their order is fixed, whatever the order of the options:

1. filter: minimum score, minimum evidence, mutual neighbours; scores are still those of the source
2. rescore: hubness correction (CSLS), popularity discount
3. select: caps on attributes, then diversity (MMR)
4. fill: back-off, after which the caps apply again
5. truncate to the first k
"""
