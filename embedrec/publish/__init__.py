"""Publishing: neighbours and vectors to other services, with an atomic switch for their readers.

`content` holds what is published, `generations` the steps, and one file per service its implementation: `redis`,
`postgres`, `qdrant`, `parquet`. A new generation is loaded next to the served one; readers see one of the two.
"""
