"""The gensim backend of word2vec."""

from embedrec.models.word2vec.gensim import Sentences
from tests.conftest import of_lists


def test_gensim_trains_every_item_of_a_long_session():
    sessions = of_lists([["a", "b"], [], list("abcde") * 5_000])
    pieces = Sentences(sessions, None)
    made = list(pieces)
    assert len(made) == len(pieces) == 5
    assert [len(piece) for piece in made] == [2, 0, 10_000, 10_000, 5_000]
    assert [int(word) for piece in made for word in piece] == sessions.items.tolist()
