"""What fairseq needs on today's Python and torch; each patch applies once."""

from laft_fairseq.compat import checkpoints, distributed, options, startup, trainer


def apply() -> None:
    """Apply every patch, once."""
    startup.apply()
    options.apply()
    distributed.apply()
    checkpoints.apply()
    trainer.apply()
