"""The data nouns: vocabularies, events, sessions, and the filters and splits between them."""

from embedrec.data.events import Events
from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab

__all__ = ["Events", "Features", "Sessions", "Vocab"]
