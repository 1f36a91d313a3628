"""Raw text in, raw text out: ``hub.load(checkpoint).generate([...], lang="fr_XX")``."""

import logging
import random

# fairseq sets up the root logger, which is the host program's, unless that has a handler; and
# scikit-learn imports rich, where it is installed, which draws random numbers.
_handler, _random_state = logging.NullHandler(), random.getstate()
logging.root.addHandler(_handler)
try:
    from laft_fairseq.hub.generator import Generator, load
    from laft_fairseq.hub.search import Hypothesis, Search
finally:
    logging.root.removeHandler(_handler)
    random.setstate(_random_state)

__all__ = ["Generator", "Hypothesis", "Search", "load"]
