"""Settings of word2vec."""

import pytest

from embedrec.errors import SettingsError
from embedrec.models.word2vec.recipe import Word2Vec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"window": -1}, "window must be"),
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
        ({"negative": 0}, "negative must be between 1 and 10000, but is 0"),
        ({"ns_exponent": float("nan")}, "ns_exponent must be .* nan"),
        ({"sample": -1e-3}, "sample must be"),
        ({"alpha": float("inf")}, "alpha must be"),
        ({"alpha": 0.01, "min_alpha": 0.02}, r"min_alpha must be at most alpha \(0.01\), but is 0.02"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"decay": 0.0}, "decay must be"),
        ({"architecture": "glove"}, "architecture must be one of skip-gram, cbow, but is 'glove'"),
        ({"vectors": "both"}, "vectors must be one of input, output, sum"),
        ({"backend": "torch"}, "backend must be one of embedrec, gensim"),
        ({"backend": "gensim", "deterministic": True}, "deterministic=true needs backend=embedrec"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        Word2Vec(**settings)
