"""The model card of a Hugging Face directory, README.md: YAML front matter, then Markdown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout
from laft_fairseq.languages.scripts import language_codes
from laft_fairseq.method.systems import find
from laft_fairseq.reporting.names import SETTINGS, TASKS

MEASURES = {"rougeL": "ROUGE-L", "bleu": "BLEU", "chrf": "chrF"}  # of `laft score`
CITATION = """\
@inproceedings{wu-etal-2022-laft,
  title     = {{LAFT}: Cross-lingual Transfer for Text Generation by Language-Agnostic Finetuning},
  author    = {Wu, Xianze and Zheng, Zaixiang and Zhou, Hao and Yu, Yong},
  booktitle = {Proceedings of the 15th International Conference on Natural Language Generation},
  year      = {2022}
}
"""


def model_card(
    name: str,
    method: str,
    languages: Sequence[str],
    trained_on: str,
    layout: TagLayout,
    with_code: bool,
    results: Sequence[Path] = (),
) -> str:
    """Return the text of a model card.

    Args:
        name, method: of the model and of its system.
        languages: tags that it can write.
        trained_on: its data in words.
        with_code: whether it needs its modelling file.
        results: JSON files of `laft score`, or result files of a recipe.
    """
    from huggingface_hub import EvalResult, ModelCardData

    rows = [row for path in results for row in _scores(path)]
    system = find(method).paper_name
    data = ModelCardData(
        language=list(language_codes(languages)),
        library_name="transformers",
        pipeline_tag="text2text-generation",
        tags=["cross-lingual-generation", method],
        model_name=name,
        eval_results=[
            EvalResult("text2text-generation", "custom", data, measure, round(value, 2),
                       dataset_config=data, metric_args={"signature": signature})
            for data, measure, value, signature in rows
        ] or None,
    )  # fmt: skip
    start = "forced_bos_token_id" if layout is TagLayout.PREFIX else "decoder_start_token_id"
    code = ", trust_remote_code=True" if with_code else ""
    tag = languages[0]
    parts = "Its added parts are in modeling_laft.py, which needs torch and transformers alone.\n"
    return f"""\
---
{data.to_yaml()}
---
# {name}

Cross-lingual text generation, trained by laft_fairseq.

| | |
|---|---|
| system | {system} (`--method {method}`) |
| languages | {", ".join(languages)} |
| data | {trained_on} |
| tag layout | {layout} |

## Use

With `pip install 'transformers>=4.57,<5' torch`:

```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}", src_lang="{tag}")
model = AutoModelForSeq2SeqLM.from_pretrained("{name}"{code})
inputs = tokenizer(["..."], return_tensors="pt", padding=True)
language = tokenizer.convert_tokens_to_ids("{tag}")
outputs = model.generate(**inputs, {start}=language)
print(tokenizer.batch_decode(outputs, skip_special_tokens=True))
```

`src_lang` is the language of the text, `{start}` that of the output.
{parts if with_code else ""}
## Scores

{_table(rows) if rows else "None are given."}

## Citation

```bibtex
{CITATION}```
"""


def _scores(path: Path) -> list[tuple[str, str, float, str]]:
    """Return data set, measure, value and signature of each score of a file."""
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        scores = content.get("scores", content)
        task, setting = TASKS.get(content.get("task", "")), SETTINGS.get(content.get("setting", ""))
        data = ", ".join(filter(None, [task, setting, content.get("lang")])) or path.stem
        values = {name: scores.get(name) for name in MEASURES}
        values["rougeL"] = scores["rougeL"]["f"]
        signatures = {"rougeL": scores["signature"]} | {
            name: scores.get(f"{name}_signature", "") for name in ("bleu", "chrf")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise LaftError(
            f"--scores {path}: no scores in it; give a JSON file of `laft score --json`"
        ) from None
    return [
        (data, measure, float(values[name]), signatures[name])
        for name, measure in MEASURES.items()
        if values[name] is not None
    ]


def _table(rows: Sequence[tuple[str, str, float, str]]) -> str:
    lines = [f"| {data} | {measure} | {value:.1f} | `{signature.replace('|', ', ')}` |"
             for data, measure, value, signature in rows]  # fmt: skip
    return "\n".join(["| data | measure | score | signature |", "|---|---|---|---|", *lines])
