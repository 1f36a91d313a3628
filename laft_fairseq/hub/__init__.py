"""Raw text in, raw text out: ``hub.load(checkpoint).generate([...], lang="fr_XX")``."""

from laft_fairseq.hub.generator import Generator, load
from laft_fairseq.hub.search import Hypothesis, Search

__all__ = ["Generator", "Hypothesis", "Search", "load"]
