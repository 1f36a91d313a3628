"""`laft trim`: a smaller backbone that keeps only the subwords that texts or scripts need."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from laft_fairseq.errors import LaftError

if TYPE_CHECKING:
    from laft_fairseq.backbone.folder import BackboneFolder
    from laft_fairseq.backbone.subword_selection import Selection
    from laft_fairseq.backbone.trimming import Coverage, Folder

HELP = "drop the subwords that given text or languages do not need"
DESCRIPTION = """\
Keep only the sentencepiece subwords that texts or languages need. The result is a backbone's folder
like any other (model.pt, dict.txt, sentence.bpe.model, langs.txt, tag-layout.txt). Its logits over
the kept subwords are those of the whole backbone, and text of kept subwords is segmented as before,
which is checked on all text given by --text before anything is written.

--text keeps the subwords that the text is segmented into, and every single character in it.
--keep-langs without --text keeps the subwords of the languages' scripts, Latin, digits,
punctuation and symbols. With either, specials, bytes and user-defined subwords stay; --keep-langs
leaves out the tags of other languages.
"""
EPILOG = """\
examples:
  laft trim --backbone mbart/model.pt --text mono.en.txt.xz mono.fr.txt.gz en.train.tsv \\
    --keep-langs en_XX,fr_XX --out mbart-en-fr
  laft trim --backbone mbart/model.pt --keep-langs en_XX,fr_XX,zh_CN --dry-run

Data has to be binarised with the new folder, and language components, checkpoints and caches are
of the backbone they were made on: estimate and train on the trimmed one. `laft parameters --arch
laft_mbart --vocab N` prints what any number of subwords comes to at any size.
"""
FP32 = 4  # bytes
ADAM = 4 * FP32  # weight, gradient and two moments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--backbone", required=True, metavar="M.pt", help="its other files lie beside it")
    add("--text", nargs="+", type=Path, default=[], metavar="FILE",
        help="a text a line, or .tsv; plain, .gz or .xz")  # fmt: skip
    add("--columns", default="3,4", metavar="N,N",
        help="of a .tsv, counted from 1, each a text (default: %(default)s)")  # fmt: skip
    add("--keep-langs", metavar="L,L", help="languages whose tags stay (default: all)")
    add("--min-count", type=int, default=1, metavar="N",
        help="drop rarer subwords, single characters excepted (default: 1)")  # fmt: skip
    add("--max-pieces", type=int, metavar="N", help="keep the N most frequent subwords at most")
    add("--out", type=Path, metavar="FOLDER", help="the new backbone's folder")
    add("--dry-run", action="store_true", help="print what would come out, and write nothing")


def run(args: argparse.Namespace) -> int:
    """Choose subwords, compare segmentations, report, write; return the exit state."""
    columns = _check(args)

    import numpy as np
    import sentencepiece

    from laft_fairseq.backbone import subword_selection, trimming
    from laft_fairseq.languages import sentencepiece_dictionary
    from laft_fairseq.languages.byte_fallback import check_coverage, uncovered
    from laft_fairseq.languages.tags import split_tags, unknown
    from laft_fairseq.languages.vocabulary_files import SENTENCEPIECE

    folder = trimming.read_folder(args.backbone)
    kept = split_tags(args.keep_langs, "--keep-langs") or folder.tags
    for tag in kept:
        if tag not in folder.tags:
            raise LaftError(unknown("--keep-langs", tag, folder.path, folder.tags))
    tags = [tag for tag in folder.tags if tag in kept]
    whole = sentencepiece_dictionary.load(folder.path / SENTENCEPIECE)
    if args.text:
        foreign = uncovered(folder.subwords.names)
        counts = np.zeros(len(foreign), dtype=np.int64)
        for path, texts in _files(args.text, columns, "counting"):
            of_file = trimming.count_subwords(whole, texts)
            warning = check_coverage(of_file[foreign].sum(), of_file.sum(), "", path)
            if warning:
                print(f"laft: {warning}", file=sys.stderr)
            counts += of_file
        if not counts.any():
            raise LaftError(f"{args.text[0]}: no text in it; give some by --text")
        selection = subword_selection.by_count(
            folder.subwords, counts, args.min_count, args.max_pieces
        )
    else:
        selection = subword_selection.by_script(folder.subwords, tags)
    model = subword_selection.trimmed(folder.subwords, selection.keep)
    small = sentencepiece.SentencePieceProcessor(model_proto=model)
    files = _files(args.text, columns, "checking")
    all_texts = (text for _, texts in files for text in texts)
    coverage = trimming.compare(whole, small, selection.new_ids, all_texts)
    trimmed = trimming.trimmed_folder(folder, selection, tags, model)
    _report(folder, trimmed, selection, coverage)
    if args.out is not None:
        written = trimmed.write(args.out)
        print(
            f"{'wrote' if written else 'up to date:'} {args.out}: fingerprint "
            f"{trimmed.fingerprint}, trimmed from {folder.backbone.fingerprint}"
        )
    return 0


def _check(args: argparse.Namespace) -> list[int]:
    """Refuse options that do not go together; return the numbers of --columns."""
    from laft_fairseq.files import check_exists

    if not args.text and not args.keep_langs:
        raise LaftError("give --text, --keep-langs, or both: what is to be kept?")
    if not args.text and (args.min_count != 1 or args.max_pieces is not None):
        raise LaftError("--min-count and --max-pieces count subwords in the text of --text")
    if (args.out is None) != args.dry_run:
        raise LaftError("give either --out FOLDER or --dry-run")
    columns = args.columns.split(",")
    if not all(column.isdecimal() and int(column) > 0 for column in columns):
        raise LaftError(f"--columns {args.columns}: numbers from 1, parted by commas, are needed")
    check_exists(args.backbone, "no such backbone; give its model.pt")
    for path in args.text:  # before hours are spent on the others
        if not path.is_file():
            raise LaftError(f"{path}: no such text file")
    return [int(column) for column in columns]


def _files(
    paths: list[Path], columns: list[int], action: str
) -> Iterator[tuple[Path, Iterator[str]]]:
    """Yield each file and its texts, with progress over all of them on standard error."""
    from laft_fairseq.files import MAX_TEXT_BYTES, lines
    from laft_fairseq.progress import progress

    size = sum(path.stat().st_size for path in paths)
    with progress(action, size, "bytes", scale=True) as bar:
        for path in paths:
            if not sys.stderr.isatty():
                print(f"{action}: {path}", file=sys.stderr)
            yield path, lines(path, columns, MAX_TEXT_BYTES, bar.update)


def _report(
    folder: "Folder", trimmed: "BackboneFolder", selection: "Selection", coverage: "Coverage"
) -> None:
    """Print what is kept and what that saves."""
    from laft_fairseq.backbone.folder import footprint
    from laft_fairseq.checkpoints.backbone import EMBEDDING

    total, kept, forced = selection.keep.size, selection.keep.sum(), selection.forced.sum()
    before, old_size, _ = footprint(folder.backbone.state)
    after, new_size, _ = footprint(trimmed.state)
    rows, d = folder.backbone.state[EMBEDDING].shape
    trimmed_rows = len(trimmed.state[EMBEDDING])
    if coverage.texts:
        text = (
            f"{coverage.kept_tokens / coverage.tokens:.2%} of {coverage.tokens:,} tokens are "
            f"kept subwords\n            {coverage.covered_texts:,} of {coverage.texts:,} texts "
            "are of kept subwords alone: each is segmented as before"
        )
    else:
        text = "none given, so segmentation was checked on none"
    print(
        f"subwords    {total:,} -> {kept:,} ({kept / total:.2%}); {forced:,} of them are "
        "specials, bytes and the like, or single characters of the text\n"
        f"languages   {len(folder.tags)} -> {len(trimmed.tags)}: {', '.join(trimmed.tags)}\n"
        f"text        {text}\n"
        f"parameters  {before:,} -> {after:,} ({after / before:.2%}): {rows:,} -> "
        f"{trimmed_rows:,} rows of {d}\n"
        f"on disk     {old_size / 1e6:,.1f} MB -> {new_size / 1e6:,.1f} MB of weights\n"
        f"memory      {FP32 * (before - after) / 1e6:,.1f} MB less in fp32, "
        f"{ADAM * (before - after) / 1e6:,.1f} MB less where the embedding is trained with Adam\n"
        f"logits      {FP32 * rows:,} -> {FP32 * trimmed_rows:,} bytes a target token in fp32"
    )
