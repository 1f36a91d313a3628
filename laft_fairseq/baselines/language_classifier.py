"""The language classifier of TM + adv (appendix), and its two losses."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from laft_fairseq.method.removal import sentence_mean


def language_logits(h: Tensor, text_mask: Tensor, weight: Tensor) -> Tensor:
    """Return W_c h_L, whose sigmoid ŷ is the probability of the source language (appendix).

    Args:
        h: (T, B, d) output of the task module.
        text_mask: (B, T) bool, True at the text's own tokens; h_L is the mean over these.
        weight: W_c, (1, d).

    Returns:
        (B,) fp32, computed in fp32 under autocast as well; 0 for a row without text tokens.
    """
    with torch.autocast(h.device.type, enabled=False):
        h_l = sentence_mean(h, text_mask)  # (B, d)
        return F.linear(h_l, weight.float()).squeeze(1)  # (B,)


def adversarial_losses(
    h: Tensor, text_mask: Tensor, weight: Tensor, is_source: Tensor, *, routed: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Return L_cls = BCE(ŷ, y) and L_adv = BCE(ŷ, 1 − y), each the mean over the rows (appendix).

    Routed, L_cls sees h detached and trains the classifier only, and L_adv sees W_c detached and
    trains the model only. Unrouted, their sum is −log ŷ − log(1 − ŷ) as printed: its derivative by
    the logit is 2ŷ − 1 whatever the label, so that no adversary is left.

    Args:
        h: (T, B, d) output of the task module.
        text_mask: (B, T) bool, True at the text's own tokens.
        weight: W_c, (1, d).
        is_source: y, (B,) bool, True for rows in the source language.
        routed: whether each loss trains its own side only.

    Returns:
        L_cls and L_adv, scalars in nats, and the logits of ŷ, (B,), without a graph.
    """
    y = is_source.float()  # (B,)
    of_classifier = language_logits(h.detach() if routed else h, text_mask, weight)  # (B,)
    of_model = language_logits(h, text_mask, weight.detach() if routed else weight)  # (B,)
    l_cls = F.binary_cross_entropy_with_logits(of_classifier, y)
    l_adv = F.binary_cross_entropy_with_logits(of_model, 1 - y)
    return l_cls, l_adv, of_classifier.detach()


class LanguageClassifier(nn.Module):
    """ŷ = sigmoid(W_c h_L), without a bias, as printed; W_c starts normal with std 0.02."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d, 1, bias=False)
        nn.init.normal_(self.linear.weight, std=0.02)
