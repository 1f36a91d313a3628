"""Raw text in, raw text out: ``hub.load(checkpoint).generate([...], lang="fr_XX")``."""

import logging

# fairseq sets up the root logger, which is the host program's, unless that has a handler.
_handler = logging.NullHandler()
logging.root.addHandler(_handler)
try:
    from laft_fairseq.hub.generator import Generator, load
    from laft_fairseq.hub.search import Hypothesis, Search
finally:
    logging.root.removeHandler(_handler)

__all__ = ["Generator", "Hypothesis", "Search", "load"]
