"""`laft score`: ROUGE with intervals, right language and copying of a set of outputs."""

import argparse
import sys
from pathlib import Path

from laft_fairseq.errors import LaftError

HELP = "score generated text: ROUGE with intervals, right language, copying"
DESCRIPTION = """\
Score generated text: ROUGE-1/2/L/Lsum F with 95 % bootstrap intervals, BLEU, chrF, the share in the
right language, known words, the share copied from the source, novel-token ROUGE-L, length ratio,
empty outputs. Percentages and scores are 0 to 100.

Reported scores should give --ref (and --src) as raw text, one item a line. Without --ref the T-
lines of the log serve, which may be cut or hold <unk>. Outputs, references and sources are all
normalised as sentencepiece does (nmt_nfkc).
"""
EPILOG = """\
example:
  laft score --generate-log out/generate-test.txt --ref test.fr.tgt --src test.fr.src \\
      --lang fr_XX --langs en_XX,fr_XX,zh_CN --trivial-baselines --json fr.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    outputs = parser.add_mutually_exclusive_group(required=True)
    outputs.add_argument(
        "--generate-log", type=Path, metavar="LOG", help="what fairseq-generate printed"
    )
    outputs.add_argument("--hyp", type=Path, metavar="H", help="outputs, one a line")
    add = parser.add_argument
    add("--ref", type=Path, nargs="+", metavar="R",
        help="references, one a line; of several files the best for each item counts in ROUGE, and "
        "all in BLEU and chrF")  # fmt: skip
    add("--src", type=Path, metavar="S", help="sources, one a line")
    add("--lang", required=True, help="language of the references, such as zh_CN")
    add("--protocol", default="unicode", choices=("unicode", "xnlg", "xnlg-literal"),
        help="what a token is: for any language; as XNLG's data sets were scored (en, fr, zh); "
        "the same with XNLG's extra zh token (default: %(default)s)")  # fmt: skip
    add("--langs", metavar="L,L",
        help="the experiment's languages, to tell apart (default: de,en,fr,zh and "
        "--lang)")  # fmt: skip
    add("--trivial-baselines", "--floors", action="store_true",
        help="score the trivial baselines too: LEAD-1, source copy and oracle")  # fmt: skip
    add("--english-ref", type=Path, metavar="E",
        help="English references of the same items, one a line: scored as a trivial "
        "baseline")  # fmt: skip
    add("--bootstrap", type=int, default=1000, metavar="N",
        help="resamples (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=12345, help="of the resampling (default: %(default)s)")
    add("--json", type=Path, metavar="OUT", help="write all numbers there")
    add("--items", action="store_true", help="in the JSON, give ROUGE-L of each item as well")
    add("--write-hypotheses", type=Path, metavar="OUT",
        help="write the outputs there as plain text, one a line, in the order of the "
        "items")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Score, write the JSON and print the table."""
    from laft_fairseq.files import check_output, replacing, write_json
    from laft_fairseq.scoring.inputs import read_inputs
    from laft_fairseq.scoring.report import Settings, score, score_trivial_baselines
    from laft_fairseq.scoring.report_table import format_report

    if args.items and args.json is None:
        raise LaftError("--items writes each item's ROUGE-L to the JSON: give --json OUT")
    if args.bootstrap < 1 or args.seed < 0:
        raise LaftError(
            f"--bootstrap {args.bootstrap} --seed {args.seed}: the first must be at least 1, the "
            "second at least 0"
        )
    inputs = (args.generate_log, args.hyp, args.ref, args.src, args.english_ref)
    for path in filter(None, (args.json, args.write_hypotheses)):
        check_output(
            path, args.generate_log, args.hyp, *(args.ref or ()), args.src, args.english_ref
        )
    langs = None
    if args.langs is not None:
        langs = [lang.strip() for lang in args.langs.split(",") if lang.strip()]
    settings = Settings(args.lang, args.protocol, langs, args.bootstrap, args.seed)
    given = read_inputs(args.lang, *inputs)
    if args.trivial_baselines and given.sources is None:
        raise LaftError(f"--trivial-baselines needs the source texts of {args.lang}: give --src")
    for note in given.notes:
        print(f"note: {note}", file=sys.stderr)
    texts = (given.hypotheses, given.references, settings, given.sources)
    report, rouge_l = score(*texts, given.more)
    sources = given.sources if args.trivial_baselines else None
    report["floors"] = score_trivial_baselines(
        given.references, settings, sources, given.english, rouge_l, given.more
    )
    if args.items:
        report["items"] = {"rougeL": [round(float(item), 4) for item in rouge_l]}
    if args.write_hypotheses is not None:
        with replacing(args.write_hypotheses) as temporary:
            temporary.write_text("".join(f"{text}\n" for text in given.hypotheses), "utf-8")
    if args.json is not None:
        write_json(args.json, report)
    print(format_report(report))
    return 0
