"""Raw text in, raw text out: ``hub.load(checkpoint).generate([...], lang="fr_XX")``."""

import logging
import random

# Of what fairseq imports, rich draws a random number where it is installed.
_drawn = random.getstate()
# fairseq sets up the root logger, which is the host program's, unless that has a handler.
_handler = logging.NullHandler()
logging.root.addHandler(_handler)
try:
    from laft_fairseq.hub.generator import Generator, load
    from laft_fairseq.hub.search import Hypothesis, Search
finally:
    logging.root.removeHandler(_handler)
    random.setstate(_drawn)

__all__ = ["Generator", "Hypothesis", "Search", "load"]
