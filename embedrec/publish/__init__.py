"""Publishing: neighbours and vectors into what other services read, and a switch that readers do not notice.

`publication` says what is published, `target` in which order, and one file a service how: `redis`, `postgres`,
`qdrant`, `parquet`. A new generation is loaded beside the one that is served; readers see the one or the other.
"""
