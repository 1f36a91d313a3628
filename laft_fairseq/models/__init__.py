"""mBART with LAFT's parts, as fairseq models."""

from laft_fairseq import compat

compat.apply()
