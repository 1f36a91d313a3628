"""ROUGE-L and copied share of generated text in validation (``--eval-rouge``)."""

from argparse import Namespace
from functools import partial
from typing import Any

import torch
from fairseq.logging import metrics

from laft_fairseq.models.laft_mbart import laft_model_in
from laft_fairseq.scoring.fairseq_log import join_subwords
from laft_fairseq.scoring.measures import copied
from laft_fairseq.scoring.rouge import rouge_items
from laft_fairseq.scoring.tokenizers import tokenizer
from laft_fairseq.tasks.laft_task import LaftTask

MEASURES = ("rougeL", "copied")


class RougeValidation:
    """Generates a LaftGeneration's validation examples and scores them by language."""

    def __init__(self, task: LaftTask) -> None:
        self.task, self.protocol = task, task.cfg.eval_rouge_protocol
        self.generator: Any = (
            None  # built at first use: fairseq-validate builds its model elsewhere
        )

    def tags(self) -> list[str]:
        """Return the languages that are validated on.

        Raises:
            LaftError: the protocol does not define one of them.
        """
        tags = self.task.split_langs(train=False)
        for tag in tags:
            tokenizer(self.protocol, tag)
        return tags

    def sums(self, sample: Any, model: Any) -> dict[str, float]:
        """Return sums of ROUGE-L and copies (0 to 100 each) and the count of each language."""
        if self.generator is None:
            cfg = self.task.cfg
            options = Namespace(
                beam=cfg.eval_rouge_beam,
                lenpen=cfg.eval_rouge_lenpen,
                max_len_a=0,
                max_len_b=cfg.eval_rouge_max_len,
            )
            self.generator = self.task.build_generator([laft_model_in(model) or model], options)
        kinds = (*MEASURES, "count")
        sums = {f"_eval_{kind}_{tag}": 0.0 for tag in self.tags() for kind in kinds}
        outputs = self.task.inference_step(self.generator, [model], sample)
        languages = model.encoder.language_tags.of_source(sample["net_input"]["src_tokens"])
        for row, language in enumerate(languages.tolist()):
            tag = self.task.tags[language]
            hypothesis = self._text(outputs[row][0]["tokens"])
            reference = self._text(sample["target"][row])
            source = self._text(sample["net_input"]["src_tokens"][row])
            scores = rouge_items([hypothesis], [reference], tag, self.protocol, metrics=["rougeL"])
            sums[f"_eval_rougeL_{tag}"] += float(scores["rougeL"][0])
            sums[f"_eval_copied_{tag}"] += 100 * int(copied([hypothesis], [source])[0])
            sums[f"_eval_count_{tag}"] += 1
        return sums

    def _text(self, tokens: torch.Tensor) -> str:
        dictionary = self.task.dictionary
        ignored = {dictionary.pad(), *self.task.tag_ids.values()}
        return join_subwords(dictionary.string(tokens.cpu(), extra_symbols_to_ignore=ignored))

    def reduce(self, logging_outputs: Any) -> None:
        """Log ``rougeL_<tag>`` and ``copied_<tag>`` for each language, and their means."""
        keys = [key for key in logging_outputs[0] if key.startswith("_eval_")]  # none in training
        for key in keys:
            metrics.log_scalar_sum(key, sum(float(output[key]) for output in logging_outputs))
        tags = self.tags()
        for measure in MEASURES if keys else ():
            for tag in tags:
                metrics.log_derived(f"{measure}_{tag}", partial(mean_over, measure, [tag]))
            metrics.log_derived(measure, partial(mean_over, measure, tags))


def mean_over(measure: str, tags: list[str], meters: Any) -> float:
    """Return the mean over languages of sum / count, 0 to 100; 0 for one without examples."""
    means = [
        meters[f"_eval_{measure}_{tag}"].sum / max(1.0, meters[f"_eval_count_{tag}"].sum)
        for tag in tags
    ]
    return round(sum(means) / len(means), 3)
