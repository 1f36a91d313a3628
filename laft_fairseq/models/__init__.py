"""mBART with LAFT's parts, as fairseq models."""

from laft_fairseq import compat, compat_checkpoints, compat_distributed, compat_shards

compat.apply()
compat_distributed.apply()
compat_shards.apply()
compat_checkpoints.apply()
