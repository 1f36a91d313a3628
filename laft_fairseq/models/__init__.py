"""mBART with LAFT's parts, as fairseq models."""

from laft_fairseq import compat, compat_distributed

compat.apply()
compat_distributed.apply()
