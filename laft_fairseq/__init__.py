"""LAFT, language-agnostic finetuning (Wu, Zheng, Zhou, Yu, INLG 2022), as a fairseq plug-in.

A contents page in the paper's order: importing it registers everything with fairseq.
"""

from laft_fairseq import compat

compat.apply()

from laft_fairseq.models import laft_mbart  # noqa: E402, F401  §3.1, §3.2: the model
from laft_fairseq.tasks import laft_denoising  # noqa: E402, F401  §3.2: stage 1
from laft_fairseq.tasks import laft_generation  # noqa: E402, F401  §3.3: stage 2
from laft_fairseq.scoring import fairseq_scorer  # noqa: E402, F401  §4: ROUGE
