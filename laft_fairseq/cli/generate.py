"""`laft generate`: raw text of one language in, a line of raw text out for each line."""

import argparse
import json
import logging
import math
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

from laft_fairseq.errors import LaftError

HELP = "raw text in, raw text out"
DESCRIPTION = """\
Read texts from standard input, one a line, and write the model's output for each to standard
output, one a line, in order. Nothing has to be binarised: sentencepiece is applied to the input and
undone in the output. An empty line gives an empty line; a text longer than the model's positions is
cut, and a line on standard error names it. With --input-format jsonl, each line in is a JSON object
with a text, and each line out is the same object with the output added.
"""
EPILOG = """\
examples:
  laft generate --checkpoint stage2/checkpoint_best.pt --lang fr_XX < in.txt > out.txt
  laft generate --checkpoint stage2/checkpoint_best.pt --lang fr_XX --output-lang zh_CN < in.txt
  laft generate --checkpoint exported-folder --lang fr_XX < in.txt
  tail -f texts | laft generate --checkpoint whole.pt --lang fr_XX --buffer-size 1
  laft generate --checkpoint a.pt b.pt c.pt --lang fr_XX < in.txt            # an ensemble
  laft generate --checkpoint c.pt --lang fr_XX --input-format jsonl --source-column news < in.jsonl
  laft generate --checkpoint c.pt --lang fr_XX --beam 1 --sampling --sampling-topp 0.9 < in.txt
  printf 'un long texte\\tcastor\\n' | laft generate --checkpoint c.pt --lang fr_XX --constraints

dict.txt, langs.txt and sentence.bpe.model are looked for in --data, beside the checkpoint, beside
its backbone, and in the data-bin that it was trained on.

--output-lang asks for another language than the input's: the input's components are removed, the
other language's mean s_L is fused and its adapters are used. The paper does not do this.

With --scores each line is LINE <tab> RANK <tab> SCORE <tab> TEXT, with --nbest N there are N such
lines for each line in, best first. The score is the log2-probability over length to the power of
--lenpen, as on fairseq-generate's H- lines. In JSON --nbest N makes the output a list, and --scores
adds the field "score".
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--checkpoint", required=True, nargs="+", metavar="C.pt",
        help="slim or whole, or a plain backbone, or the folder of one named model.pt; several are "
        "an ensemble, which averages their probabilities")  # fmt: skip
    add("--lang", required=True, metavar="TAG", help="the input's language, such as fr_XX")
    add("--output-lang", metavar="TAG", help="language to write in (default: the input's)")
    add("--input-format", choices=("text", "jsonl"), default="text",
        help="what a line of the input is (default: %(default)s)")  # fmt: skip
    add("--source-column", default="text", metavar="NAME",
        help="JSON: the field of the text (default: %(default)s); its constraints, if any, are the "
        "list in the field \"constraints\"")  # fmt: skip
    add("--output-column", default="output", metavar="NAME",
        help="JSON: the field to add (default: %(default)s)")  # fmt: skip
    _add_search(parser)
    add("--buffer-size", type=int, metavar="N",
        help="lines read ahead; similar lengths among them share a batch, and each output comes "
        "when all before it are done (default: 1024, on a terminal 1)")  # fmt: skip
    add("--data", metavar="DIR", help="folder of dict.txt, langs.txt, tag-layout.txt")
    add("--sentencepiece-model", metavar="FILE", help="the backbone's sentence.bpe.model")
    add("--backbone", metavar="M.pt", help="of a slim checkpoint, where it is not found by itself")
    add("--device", help="cpu, cuda or cuda:1 (default: cuda where there is one)")
    add("--half", action="store_true", help="compute in fp16 on a GPU, in bf16 elsewhere")
    add("--seed", type=int, metavar="N", help="of --sampling (default: another one each time)")


def _add_search(parser: argparse.ArgumentParser) -> None:
    """Add the fields of hub.search.Search, under fairseq-generate's names."""
    shown = "(default: %(default)s)"
    options: tuple[tuple[str, Any, Any, str], ...] = (
        ("--beam", int, 5, f"hypotheses kept at each step {shown}"),
        ("--lenpen", float, 1.5, f"length penalty: above 1 favours long outputs {shown}"),
        ("--nbest", int, 1, f"outputs for each line, at most --beam; above 1 as --scores {shown}"),
        ("--max-len-a", float, 0.0, f"an output has at most a * source + b tokens {shown}"),
        ("--max-len-b", int, 200, f"the b of it {shown}"),
        ("--min-len", int, 1, f"shortest output in tokens {shown}"),
        ("--no-repeat-ngram-size", int, 0, "no n-gram of this many tokens twice; 0: allowed"),
        ("--temperature", float, 1.0, f"above 1 flattens the distribution {shown}"),
        ("--sampling-topk", int, -1, "sample from this many likeliest tokens; -1: from all"),
        ("--sampling-topp", float, -1, "sample from the likeliest tokens that have this "
         "probability together; -1: from all"),
        ("--diverse-beam-groups", int, -1, "parts of the beam that are to differ; -1: none"),
        ("--diverse-beam-strength", float, 0.5, f"how much they are to differ {shown}"),
        ("--prefix", str, "", "text with which each output begins"),
        ("--max-tokens", int, 8192, f"largest batch in tokens, padding included {shown}"),
        ("--batch-size", int, 32, f"largest batch in texts {shown}"),
    )  # fmt: skip
    for name, kind, default, words in options:
        metavar = {float: "X", int: "N", str: "TEXT"}[kind]
        parser.add_argument(name, type=kind, default=default, metavar=metavar, help=words)
    parser.add_argument("--sampling", action="store_true",
                        help="draw --beam outputs at random in place of a beam search")  # fmt: skip
    parser.add_argument("--constraints", nargs="?", const="unordered", default="",
                        choices=("ordered", "unordered"),
                        help="words that an output has to contain, in any order or in theirs: they "
                        "follow each text in the input, each after a tab")  # fmt: skip
    parser.add_argument("--scores", action="store_true", help="tab-separated, with line and score")


def run(args: argparse.Namespace) -> int:
    """Read, search and write, a buffer of lines at a time, until the input ends."""
    from laft_fairseq.files import check_exists, decoded_lines

    for checkpoint in args.checkpoint:
        check_exists(checkpoint, "no such checkpoint")
    # No line of the log but warnings: the rest is meant for a training. main.py restores the level.
    logging.getLogger("laft_fairseq").setLevel(logging.WARNING)
    from dataclasses import fields

    from fairseq.utils import set_torch_seed

    from laft_fairseq import hub
    from laft_fairseq.hub.generator import BUFFER
    from laft_fairseq.hub.search import Search
    from laft_fairseq.progress import progress

    if sys.stdin is None:
        raise LaftError("standard input is closed: the texts are read from it, a line each")
    search = {field.name: getattr(args, field.name) for field in fields(Search)}
    Search(**search)  # refuses what does not go together before anything is loaded
    generator = hub.load(
        args.checkpoint,
        args.data,
        args.sentencepiece_model,
        args.backbone,
        device=args.device,
        half=args.half,
    )
    if args.seed is not None:
        set_torch_seed(args.seed)
    size = args.buffer_size
    if size is None:
        size = 1 if sys.stdin.isatty() else BUFFER
    out = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(encoding="utf-8", newline="\n")
    lines = decoded_lines(sys.stdin.buffer, "standard input")
    count = _number_of_lines(sys.stdin.buffer)
    records: deque[dict[str, Any]] = deque()  # those read whose outputs are not yet written
    if args.input_format == "jsonl":
        lines = _texts_of(lines, args, records)
    with progress("generating", count, "lines", disable=out.isatty()) as bar:
        outputs = generator.hypotheses(
            lines, args.lang, args.output_lang, size, bar.update, **search
        )
        for number, hypotheses in enumerate(outputs, 1):
            if args.input_format == "jsonl":
                shown = [_with_outputs(records.popleft(), hypotheses, args)]
            elif args.scores or args.nbest > 1:
                shown = [f"{number}\t{rank}\t{hypothesis.score:.4f}\t{hypothesis.text}"
                         for rank, hypothesis in enumerate(hypotheses, 1)]  # fmt: skip
            else:
                shown = [hypotheses[0].text]
            print(*shown, sep="\n", file=out, flush=True)
    return 0


def _texts_of(
    lines: Iterator[str], args: argparse.Namespace, records: "deque[dict[str, Any]]"
) -> Iterator[str]:
    """Yield the text in each JSON object, which ``records`` keeps, with its constraints.

    Raises:
        LaftError: a line is no object, lacks the text, or has a field of an output's name.
    """
    for number, line in enumerate(lines, 1):
        where = f"standard input: line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise LaftError(f"{where} is no JSON object")
        text = record.get(args.source_column)
        if not isinstance(text, str):
            raise LaftError(
                f"{where}: no text in the field {args.source_column!r}; --source-column names one "
                f"of {', '.join(record) or 'none'}"
            )
        if args.output_column in record or (args.scores and "score" in record):
            raise LaftError(
                f"{where}: has a field {args.output_column!r} or, with --scores, 'score' already; "
                "--output-column names another"
            )
        words = record.get("constraints", []) if args.constraints else []
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise LaftError(f"{where}: its constraints are no list of texts")
        records.append(record)
        if args.constraints:
            text = "\t".join(" ".join(part.split("\t")) for part in (text, *words))
        yield text


def _with_outputs(record: dict[str, Any], hypotheses: Any, args: argparse.Namespace) -> str:
    """The JSON of a record with its output, or with several as a list."""
    texts = [hypothesis.text for hypothesis in hypotheses]
    record[args.output_column] = texts if args.nbest > 1 else texts[0]
    if args.scores:
        scores = [round(h.score, 4) if math.isfinite(h.score) else None for h in hypotheses]
        record["score"] = scores if args.nbest > 1 else scores[0]
    return json.dumps(record, ensure_ascii=False)


def _number_of_lines(stream: Any) -> int | None:
    """Return how many lines are left in a file; None for a pipe or a terminal."""
    import io
    import os
    import stat

    try:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return None
    except io.UnsupportedOperation:
        return None
    start, count, last = stream.tell(), 0, b"\n"
    while block := stream.read(io.DEFAULT_BUFFER_SIZE):
        count, last = count + block.count(b"\n"), block[-1:]
    stream.seek(start)
    return count + (last != b"\n")
