"""The loss of TM + adv (appendix): L = L_cls + L_adv + L_gen."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import torch
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II
from torch import Tensor

from laft_fairseq.baselines.language_classifier import LanguageClassifier, adversarial_losses
from laft_fairseq.compat.options import option
from laft_fairseq.errors import LaftError
from laft_fairseq.method.systems import METHODS, find

logger = logging.getLogger(__name__)

CANCELLED = (
    "--unrouted-adversary: without routing L_cls and L_adv cancel (the derivative of their sum is "
    "2ŷ - 1, whatever the language): the classifier learns nothing and there is no adversary"
)
OF_CLASSIFIER = ("loss_cls", "loss_adv", "right_")  # not reported of an untrained classifier


@dataclass
class LaftAdversarialOptions(FairseqDataclass):
    """Options of label smoothing and of the adversary's routing."""

    label_smoothing: float = option(0.1, "epsilon of L_gen, spread over the other |V| - 1 entries")
    unrouted_adversary: bool = option(
        False, "sum the three terms as printed, though L_cls and L_adv then cancel"
    )
    sentence_avg: bool = II("optimization.sentence_avg")


def smoothed_cross_entropy(
    lprobs: Tensor, target: Tensor, epsilon: float, pad: int
) -> tuple[Tensor, Tensor]:
    """Return L_gen (appendix), cross-entropy against 1 − ε at the target, ε/(|V| − 1) elsewhere.

    Args:
        lprobs: (N, V) log-probabilities.
        target: (N,) token ids; ``pad`` does not count.
        epsilon: ε, 0 for plain cross-entropy.
        pad: the token of padding.

    Returns:
        L_gen and the plain negative log-likelihood, each summed over the tokens, in nats.
    """
    counts = target.ne(pad)  # (N,) True at the targets' tokens
    nll = -lprobs.gather(1, target.unsqueeze(1)).squeeze(1)  # (N,)
    others = -lprobs.sum(1) - nll  # (N,)
    smoothed = (1 - epsilon) * nll + epsilon / (lprobs.size(1) - 1) * others  # (N,)
    zero = nll.new_zeros(())
    return torch.where(counts, smoothed, zero).sum(), torch.where(counts, nll, zero).sum()


@register_criterion("laft_adversarial", dataclass=LaftAdversarialOptions)
class LaftAdversarial(FairseqCriterion):
    """L = L_cls + L_adv + L_gen, with L_cls and L_adv rescaled to L_gen's sample size.

    fairseq divides every gradient by one sample size, the target tokens that L_gen sums over, so
    the other two, means over the rows, are multiplied by it. The criterion holds the classifier:
    fairseq's trainer optimises and saves a criterion's parameters beside the model's.

    Validation's ``loss`` is L_gen alone, as for the systems without an adversary, so that
    ``checkpoint_best.pt`` is chosen alike. L_cls and L_adv are reported beside it, unless the
    classifier is untrained.

    Raises:
        LaftError: a task without a gate or target rows, or a wrong label smoothing.
    """

    reads_target_rows = True  # checked by LaftGeneration.build_criterion

    def __init__(
        self, task: Any, sentence_avg: bool, label_smoothing: float, unrouted_adversary: bool
    ) -> None:
        option = "--criterion laft_adversarial"
        if not hasattr(task, "target_langs"):
            raise LaftError(f"{option}: is for stage 2; use it with --task laft_generation")
        gated = [name for name, system in METHODS.items() if "gate" in system.modules]
        method = getattr(task, "method", None)  # of --arch laft_mbart* alone
        if method is None or "gate" not in find(method).modules:
            system = "this --arch" if method is None else f"--method {method}"
            raise LaftError(
                f"{option}: {system} has no task module with a gate; choose {' or '.join(gated)}"
            )
        if not task.target_langs():
            raise LaftError(
                f"{option}: no target rows; name their languages by --target-langs, such as "
                "fr_XX,zh_CN"
            )
        if not 0 <= label_smoothing < 1:
            raise LaftError(f"--label-smoothing {label_smoothing}: must be at least 0 and below 1")
        super().__init__(task)
        self.sentence_avg = sentence_avg
        self.epsilon = label_smoothing
        self.routed = not unrouted_adversary
        self.source_langs = frozenset(task.train_langs())
        self.classifier = LanguageClassifier(task.width)
        self.is_untrained = True  # the classifier
        if unrouted_adversary:
            logger.warning(CANCELLED)

    def forward(
        self, model: Any, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[Tensor, int, dict[str, Any]]:
        """Return the loss in nats, its sample size and the sums for :meth:`reduce_metrics`."""
        self.is_untrained = self.is_untrained and not self.training
        logits, extra = model(**sample["net_input"])  # (R, T, V): the rows that have a target
        lprobs = model.get_normalized_probs((logits, extra), log_probs=True)  # (R, T, V)
        target = sample["target"]  # (R, T)
        l_gen, nll = smoothed_cross_entropy(
            lprobs.flatten(0, 1), target.flatten(), self.epsilon, self.padding_idx
        )
        tokens = int(sample["ntokens"])
        size = target.size(0) if self.sentence_avg else tokens

        source = sample["net_input"]["src_tokens"]  # (B, S)
        encoded = extra["encoder"]
        h = encoded["h"][0]  # (S, B, d)
        text_mask = encoded["text_mask"][0]  # (B, S)
        is_source = torch.tensor([tag in self.source_langs for tag in model.tags], device=h.device)
        is_source = is_source[encoded["languages"][0]]  # (B,)
        weight = self.classifier.to(h.device).linear.weight  # fairseq-validate leaves it on the CPU
        l_cls, l_adv, z = adversarial_losses(h, text_mask, weight, is_source, routed=self.routed)
        l_cls, l_adv = l_cls * size, l_adv * size
        loss = l_cls + l_adv + l_gen if self.training else l_gen
        sums = {"loss": loss, "loss_cls": l_cls, "loss_adv": l_adv, "loss_gen": l_gen,
                "nll_loss": nll}  # fmt: skip
        right = z.gt(0).eq(is_source)  # (B,): ŷ > 1/2, that is z > 0, says "source"
        at_tokens = source.ne(self.padding_idx)  # (B, S)
        alpha = encoded["alpha"][0].squeeze(2).t().float()  # (B, S)
        sums |= {
            "rows_source": is_source.sum(),
            "rows_target": (~is_source).sum(),
            "right_source": (right & is_source).sum(),
            "right_target": (right & ~is_source).sum(),
            "alpha": alpha.masked_fill(~at_tokens, 0).sum(),
            "gated_tokens": at_tokens.sum(),
        }
        if self.is_untrained:
            sums = {n: value for n, value in sums.items() if not n.startswith(OF_CLASSIFIER)}
        logging_output: dict[str, Any] = {name: value.detach() for name, value in sums.items()}
        logging_output |= {"ntokens": tokens, "nsentences": source.size(0), "sample_size": size,
                           "batches": 1}  # fmt: skip
        return loss, size, logging_output

    def load_state_dict(
        self, state_dict: Optional[Mapping[str, Any]], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load the classifier; a checkpoint of another criterion, such as stage 1's, has none."""
        if state_dict is None:
            logger.info("the checkpoint holds no language classifier: a new one is trained")
            return None
        self.is_untrained = False
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        """Log losses in bits, and accuracies and shares in percent."""

        def total(name: str) -> float:
            return float(sum(float(output.get(name, 0)) for output in logging_outputs))

        size, tokens = total("sample_size"), total("ntokens")
        reported = logging_outputs[0].keys()
        for name in (n for n in ("loss", "loss_cls", "loss_adv", "loss_gen") if n in reported):
            metrics.log_scalar(name, total(name) / size / math.log(2), size, round=3)
        metrics.log_scalar("nll_loss", total("nll_loss") / tokens / math.log(2), tokens, round=3)
        metrics.log_derived("ppl", lambda meters: utils.get_perplexity(meters["nll_loss"].avg))
        rows = {kind: total(f"rows_{kind}") for kind in ("source", "target")}
        right = {kind: total(f"right_{kind}") for kind in rows}
        for kind in rows:
            metrics.log_scalar(f"rows_{kind}", rows[kind] / total("batches"), round=1)
            if rows[kind] and f"right_{kind}" in reported:
                share = 100 * right[kind] / rows[kind]
                metrics.log_scalar(f"accuracy_{kind}", share, rows[kind], round=1)
        both = sum(rows.values())
        if "right_source" in reported:
            metrics.log_scalar("accuracy", 100 * sum(right.values()) / both, both, round=1)
        gated = total("gated_tokens")
        metrics.log_scalar("gate", total("alpha") / gated, gated, round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """Return True, as all of them are sums."""
        return True
