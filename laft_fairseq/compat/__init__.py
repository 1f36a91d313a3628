"""What fairseq needs on today's Python and torch, and what of it is replaced."""

from laft_fairseq.compat import checkpoints, distributed, options, startup, trainer
from laft_fairseq.compat.patching import wrap


def apply() -> None:
    """Prepare this process for fairseq, and replace its functions by ours that call them, once."""
    startup.apply()

    from fairseq import checkpoint_utils, utils
    from fairseq import options as fairseq_options
    from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE
    from fairseq.distributed import utils as distributed_utils
    from fairseq.file_io import PathManager
    from fairseq.models import distributed_fairseq_model
    from fairseq.trainer import Trainer

    wrap(SentencepieceBPE, startup.decode)
    wrap(fairseq_options, options.parse_args_and_arch)
    wrap(distributed_utils, distributed.call_main)
    wrap(distributed_utils, distributed.distributed_init)
    wrap(distributed_fairseq_model, distributed.DistributedDataParallel)
    wrap(PathManager, checkpoints.copy)
    wrap(checkpoint_utils, checkpoints.verify_checkpoint_directory)
    wrap(checkpoint_utils, checkpoints.torch_persistent_save)
    wrap(checkpoint_utils, checkpoints.save_checkpoint)
    wrap(checkpoint_utils, checkpoints.load_checkpoint_to_cpu)
    wrap(checkpoint_utils, checkpoints.load_checkpoint)
    wrap(checkpoint_utils, checkpoints.load_model_ensemble_and_task)
    wrap(utils, checkpoints.move_to_cpu)
    wrap(Trainer, trainer.load_checkpoint)
    wrap(Trainer, trainer.train_step)
    wrap(Trainer, trainer._check_grad_norms)
    wrap(Trainer, trainer.save_checkpoint)
