"""The query tower in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import shaped, unpack_ids
from embedrec.models.base import Arrays
from embedrec.models.session_encoders import Encoder
from embedrec.models.torch_recipe import parse_layers
from embedrec.models.two_tower.settings import TwoTowerSettings
from embedrec.vectors.procrustes import rotate


@dataclass(frozen=True, eq=False)
class QueryTower:
    """The query tower in NumPy.

    places     (L,) float32 log weights of positions, the last item first
    attention  (d,) float32: an item's weight is exp(its vector · attention) times that of its position
    layers     pairs of a matrix (in, out) and a bias (out,); ReLU in between
    users      (U, d) float32 of the users `user_ids`, or None
    """

    places: np.ndarray
    attention: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    users: np.ndarray | None
    user_ids: Vocab | None

    @classmethod
    def of(cls, recipe: TwoTowerSettings, arrays: Arrays) -> QueryTower:
        """The tower of a model's arrays. Raises DataError when they do not fit the settings."""
        shapes = [recipe.dim, *parse_layers(recipe.query_layers, "query_layers"), recipe.dim]
        layers = []
        for number in range(len(shapes) - 1 if recipe.query_layers else 0):
            layers.append((shaped(arrays, f"layer{number}", (shapes[number], shapes[number + 1]), recipe.name),
                           shaped(arrays, f"bias{number}", (shapes[number + 1],), recipe.name)))  # fmt: skip
        users, user_ids = None, None
        if "users" in arrays:
            user_ids = unpack_ids(arrays, "user")
            users = shaped(arrays, "users", (len(user_ids), recipe.dim), recipe.name)
        places = shaped(arrays, "places", (recipe.history,), recipe.name)
        return cls(places, shaped(arrays, "attention", (recipe.dim,), recipe.name), tuple(layers), users, user_ids)

    def encoder(self, items: np.ndarray) -> Encoder:
        """Histories → queries (S, d) float32, over these item vectors (n, d). The zero vector if nothing is known."""
        weights = np.exp(items.astype(np.float64) @ self.attention)  # (n,)

        def encode(histories: Sessions) -> np.ndarray:
            sums = self._mean(histories, items, weights)
            known = histories.lengths > 0
            if self.users is not None and self.user_ids is not None and histories.users is not None:
                rows = self.user_ids.rows_of(histories.users)
                sums[rows >= 0] += self.users[rows[rows >= 0]]
                known |= rows >= 0
            hidden = sums
            for number, (matrix, bias) in enumerate(self.layers):
                hidden = (np.maximum(hidden, 0) if number else hidden) @ matrix + bias
            return np.where(known[:, None], sums + hidden if self.layers else sums, 0).astype(np.float32)

        return encode

    def _mean(self, histories: Sessions, items: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The weighted means of the last items: (S, d)."""
        import scipy.sparse as sp

        ends = np.repeat(histories.offsets[1:], histories.lengths)
        age = ends - 1 - np.arange(len(histories.items))  # (E,) 0 for the last item
        recent = age < len(self.places)
        values = np.zeros(len(age))
        values[recent] = np.exp(self.places[age[recent]].astype(np.float64)) * weights[histories.items[recent]]
        shape = (len(histories), len(items))
        sums = sp.csr_matrix((values, histories.items.copy(), histories.offsets.copy()), shape)
        totals = np.asarray(sums.sum(axis=1)).reshape(-1, 1)
        return np.asarray((sums @ items) / np.where(totals > 0, totals, 1), dtype=np.float32)


def rotated_tower(recipe: TwoTowerSettings, arrays: Arrays, rotation: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of both towers that a rotation (d, d) of items and queries changes; the layers between are the same.

    A mean of rotated items is the rotated mean, so that the first layer turns it back, and the last one turns.
    """
    changed = {name: rotate(arrays[name], rotation) for name in ("items", "users", "attention") if name in arrays}
    last = len(parse_layers(recipe.query_layers, "query_layers"))
    if last:
        changed["layer0"] = np.asarray(rotation.T.astype(np.float32) @ arrays["layer0"])
        changed[f"layer{last}"] = rotate(arrays[f"layer{last}"], rotation)
        changed[f"bias{last}"] = rotate(arrays[f"bias{last}"], rotation)
    return changed
