"""fairseq's command line: numbers in their range, and options that go together.

fairseq takes any number for any option, so that a training with ``--lr -1`` ends well, and others
in a traceback. Every command of fairseq's parses its options here, before it does anything.
"""

import math
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import field
from typing import Any

import torch

from laft_fairseq.checkpoints.options import RANGES, SHARE, TASKS
from laft_fairseq.compat.error_lines import expect_errors
from laft_fairseq.errors import LaftError, flag
from laft_fairseq.languages.tags import split_tags

MOST = 1 << 40
# The least and the greatest value of numbers of which another one has no meaning, beside RANGES.
# Where there is none: at least 0 if the default is, any number otherwise; NaN nowhere.
ABOVE_ZERO = ("batch_size", "batch_size_valid", "beam", "checkpoint_shard_count",
              "distributed_world_size", "eval_rouge_beam", "eval_rouge_max_len", "log_interval",
              "max_tokens", "max_tokens_valid", "nbest", "num_shards", "poisson_lambda",
              "required_batch_size_multiple", "save_interval", "target_per_source", "temperature",
              "tokens_per_sample", "update_freq", "validate_interval")  # fmt: skip
LIMITS: dict[str, tuple[float, float]] = {
    **RANGES,
    **dict.fromkeys(("lenpen", "eval_rouge_lenpen"), (-100, 100)),
    **dict.fromkeys(("mask", "label_smoothing", "ema_decay"), SHARE),
    **dict.fromkeys(("unkpen", "lm_weight"), (-math.inf, math.inf)),
    "seed": (0, (1 << 32) - 1),  # numpy's
}
HALF_PRECISION = ("fp16", "bf16", "memory_efficient_fp16", "memory_efficient_bf16", "amp")
GENERATED = ("rougeL", "copied")  # beginnings of the metrics of --eval-rouge
LARGER_IS_BETTER = ("rougeL", "accuracy")


def option(default: Any, words: str) -> Any:
    """Return the field of an option in one of fairseq's dataclasses; its help is ``words``.

    fairseq reads the types of such fields at run time, and of unions Optional[...] alone.
    """
    return field(default=default, metadata={"help": words})


def parse_args_and_arch(stock: Any, parser: ArgumentParser, *args: Any, **kwargs: Any) -> Any:
    """Parse a command line as fairseq does, and refuse what cannot be meant.

    Raises:
        LaftError: names the option and what it may be.
    """
    expect_errors()
    parsed = stock(parser, *args, **kwargs)
    options = parsed[0] if isinstance(parsed, tuple) else parsed
    if getattr(options, "task", None) in (None, *TASKS):
        check_numbers(parser._actions, options)
        check_together(vars(options))
    return parsed


def check_numbers(actions: list[Action], options: Namespace) -> None:
    """Refuse a number outside of its option's range; a default is never outside.

    Raises:
        LaftError: names the option and the range.
    """
    for action in actions:
        value: Any = getattr(options, action.dest, None)
        numbers: list[Any] = value if isinstance(value, list) else [value]
        for number in numbers:
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if not is_number or number == action.default:
                continue
            low, high = _limits(action)
            above_zero = action.dest in ABOVE_ZERO
            if not low <= number <= high or (above_zero and number == 0):
                least = "above 0" if above_zero else f"at least {low:.10g}"
                most = f" and at most {high:.10g}" if high < MOST or number > high else ""
                raise LaftError(f"{flag(action.dest)} {number}: must be {least}{most}")


def _limits(action: Action) -> tuple[float, float]:
    """The range of an option's numbers."""
    if action.dest in LIMITS:
        return LIMITS[action.dest]
    if action.dest.endswith(("dropout", "layerdrop")):
        return SHARE
    is_negative = type(action.default) in (int, float) and action.default < 0
    return (-MOST if is_negative else 0), MOST


def check_together(given: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other, or the machine.

    Raises:
        LaftError: names the options.
    """
    if given.get("cpu") or not torch.cuda.is_available():
        for name in HALF_PRECISION:
            if given.get(name):
                raise LaftError(
                    f"{flag(name)}: is for GPUs, and this runs on a CPU; leave it out (--autocast "
                    "auto trains in bf16 where the processor can)"
                )
    if "encoder_attention_heads" in given:
        _check_shape(given)
    if "best_checkpoint_metric" in given and not given.get("disable_validation", True):
        _check_metric(given)
    if "beam" in given and not given["match_source_len"]:
        _check_search(given)


def _check_shape(given: Mapping[str, Any]) -> None:
    """Refuse widths that no mBART has."""
    d, decoder_d = given["encoder_embed_dim"], given["decoder_embed_dim"]
    if decoder_d != d:
        raise LaftError(
            f"--encoder-embed-dim {d}, --decoder-embed-dim {decoder_d}: must be the same, as both "
            "sides share the embedding"
        )
    for side in ("encoder", "decoder"):
        heads = given[f"{side}_attention_heads"]
        if d % heads:
            raise LaftError(f"--{side}-attention-heads {heads}: must divide the width, {d}")
    reduction = given.get("task_adapter_reduction", 1)
    if reduction > d:
        raise LaftError(f"--task-adapter-reduction {reduction}: must be at most the width, {d}")


def _check_metric(given: Mapping[str, Any]) -> None:
    """Refuse a metric that no validation reports, or whose worst checkpoint would be kept."""
    metric = given["best_checkpoint_metric"]
    option, kind = f"--best-checkpoint-metric {metric}", metric.split("_")[0]
    is_adversarial = given.get("criterion") == "laft_adversarial"
    if kind in GENERATED:
        if not given.get("eval_rouge"):
            raise LaftError(f"{option}: is reported with --eval-rouge alone, in stage 2; add it")
        tags = split_tags(given["valid_langs"] or given["train_langs"] or "")
        tag = metric.removeprefix(kind).removeprefix("_")
        if tag and tags and tag not in tags:
            raise LaftError(f"{option}: is not among the languages validated on, {','.join(tags)}")
    else:
        reported = ["loss", "ppl"]
        if given.get("criterion") != "cross_entropy" or given.get("sentence_avg"):
            reported.append("nll_loss")
        if given.get("report_accuracy") or is_adversarial:
            reported.append("accuracy")
        if metric not in reported and not (is_adversarial and kind in ("loss", "accuracy")):
            raise LaftError(
                f"{option}: no validation reports it; choose from {', '.join(reported)}, or rougeL "
                "with --eval-rouge"
            )
    is_larger_better = kind in LARGER_IS_BETTER
    if is_larger_better != bool(given["maximize_best_checkpoint_metric"]):
        better, do = ("larger", "add") if is_larger_better else ("smaller", "leave out")
        raise LaftError(
            f"{option}: {better} is better, so that the worst checkpoint would be kept; {do} "
            "--maximize-best-checkpoint-metric"
        )


def _check_search(given: Mapping[str, Any]) -> None:
    """Refuse more outputs than the beam holds, and a least length above the greatest."""
    beam, nbest, shortest, longest = (given[n] for n in ("beam", "nbest", "min_len", "max_len_b"))
    if nbest > beam:
        raise LaftError(f"--nbest {nbest}: must be at most --beam, {beam}")
    if not given["max_len_a"] and shortest > longest:
        raise LaftError(f"--min-len {shortest}: must be at most --max-len-b, {longest}")
