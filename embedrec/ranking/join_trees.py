"""One text of trees in the format of LightGBM of several, whose scores are added."""

from __future__ import annotations

from collections.abc import Sequence

_SCALED = ("leaf_value=", "internal_value=")  # lines of a tree


def join_trees(texts: Sequence[str], factors: Sequence[float]) -> bytes:
    """The trees of all texts, which LightGBM wrote for the same features, as one text with the head of the first.

    factors  of the scores of each text

    Importances and parameters, which follow the trees, are left out.
    """
    head = ""
    trees: list[str] = []
    for text, factor in zip(texts, factors, strict=True):
        own_head, _, rest = text.partition("tree_sizes=")
        head = head or own_head
        _, _, blocks = rest.partition("\n\n")
        content, _, _ = blocks.partition("end of trees\n")
        trees += [_tree(block, len(trees) + number, factor) for number, block in enumerate(content.split("Tree=")[1:])]
    sizes = " ".join(str(len(tree)) for tree in trees)
    return f"{head}tree_sizes={sizes}\n\n{''.join(trees)}end of trees\n".encode()


def _tree(block: str, number: int, factor: float) -> str:
    """The text of tree `number`; `block` is one after "Tree="."""
    _, _, lines = block.partition("\n")
    if factor != 1:
        lines = "\n".join(_scale(line, factor) for line in lines.split("\n"))
    return f"Tree={number}\n{lines}"


def _scale(line: str, factor: float) -> str:
    key = next((key for key in _SCALED if line.startswith(key)), None)
    if key is None:
        return line
    return key + " ".join(repr(float(word) * factor) for word in line.removeprefix(key).split())
