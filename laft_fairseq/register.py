"""A contents page in the paper's order: importing it registers everything with fairseq."""

from laft_fairseq.criterions import laft_adversarial  # noqa: F401  appendix: TM + adv's loss
from laft_fairseq.models import laft_mbart  # noqa: F401  sections 3.1, 3.2: --arch laft_mbart
from laft_fairseq.scoring import fairseq_scorer  # noqa: F401  section 4: --scoring rouge
from laft_fairseq.tasks import (
    laft_denoising,  # noqa: F401  section 3.2: stage 1
    laft_generation,  # noqa: F401  section 3.3: stage 2
)
