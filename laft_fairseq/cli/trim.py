"""`laft trim`: a smaller backbone that keeps only the pieces that given text or scripts need."""

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

_DESCRIPTION = """\
Keep only the sentencepiece pieces that texts or languages need. The result is a backbone's folder
like any other (model.pt, dict.txt, sentence.bpe.model, langs.txt, tag-layout.txt). Its logits over
the kept pieces are those of the whole backbone, and text of kept pieces is segmented as before,
which is checked on all text given by --text before anything is written.

--text keeps the pieces that the text is segmented into, and every single character in it.
--keep-langs without --text keeps the pieces of the languages' scripts, Latin, digits, punctuation
and symbols. With either, specials, byte pieces and user-defined pieces stay; --keep-langs leaves
out the tags of other languages.
"""
_EPILOG = """\
examples:
  laft trim --backbone mbart/model.pt --text mono.en.txt.xz mono.fr.txt.gz en.train.tsv \\
    --keep-langs en_XX,fr_XX --out mbart-en-fr
  laft trim --backbone mbart/model.pt --keep-langs en_XX,fr_XX,zh_CN --dry-run

Data has to be binarised with the new folder, and language components, checkpoints and caches are
of the backbone they were made on: estimate and train on the trimmed one. What any number of pieces
comes to at any size says `laft parameters --arch laft_mbart --vocab N`.
"""
FP32 = 4  # bytes
ADAM = 4 * FP32  # weight, gradient and two moments


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `trim`."""
    parser = subparsers.add_parser(
        "trim",
        help="drop the pieces that given text or languages do not need",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--backbone", required=True, metavar="M.pt", help="its other files lie beside it")
    add("--text", nargs="+", type=Path, default=[], metavar="FILE",
        help="a text a line, or .tsv; plain, .gz or .xz")  # fmt: skip
    add("--columns", default="3,4", metavar="N,N",
        help="of a .tsv, counted from 1, each a text (default: %(default)s)")  # fmt: skip
    add("--keep-langs", metavar="L,L", help="languages whose tags stay (default: all)")
    add("--min-count", type=int, default=1, metavar="N",
        help="drop the text's rarer pieces, single characters excepted (default: 1)")  # fmt: skip
    add("--max-pieces", type=int, metavar="N", help="the most frequent, N in all at most")
    add("--out", type=Path, metavar="FOLDER", help="the new backbone's folder")
    add("--dry-run", action="store_true", help="say what would come out, and write nothing")
    add("--workers", type=int, default=1, metavar="N", help="threads that segment (default: 1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Choose, check against the text, say, write.

    Raises:
        LaftError: options or files that do not fit; an existing, different --out.
    """
    from laft_fairseq.backbone import subword_selection as piece_selection
    from laft_fairseq.backbone import trimming

    _check(args)
    folder = trimming.read_folder(args.backbone)
    tags = _kept_tags(args, folder)
    selection = _select(args, folder, tags)
    pieces = piece_selection.trimmed(folder.pieces, selection.keep)
    covered = _compare(args, folder, pieces, selection)
    trimmed = trimming.trimmed_folder(folder, selection, tags, pieces)
    _report(folder, trimmed, selection, covered)
    if args.out is not None:
        written = trimming.write(trimmed, args.out)
        print(
            f"{'wrote' if written else 'up to date:'} {args.out}: fingerprint "
            f"{trimmed.fingerprint}, trimmed from {folder.backbone.fingerprint}"
        )
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together; parse --columns."""
    if not args.text and not args.keep_langs:
        raise LaftError("give --text, --keep-langs, or both: what is to be kept?")
    if not args.text and (args.min_count != 1 or args.max_pieces is not None):
        raise LaftError("--min-count and --max-pieces count pieces in the text of --text")
    if (args.out is None) != args.dry_run:
        raise LaftError("give either --out FOLDER or --dry-run")
    for name in ("min_count", "max_pieces", "workers"):
        number = getattr(args, name)
        if number is not None and number < 1:
            raise LaftError(f"--{name.replace('_', '-')} {number}: at least 1 is needed")
    fields = args.columns.split(",")
    if not all(field.isdecimal() and int(field) > 0 for field in fields):
        raise LaftError(f"--columns {args.columns}: numbers from 1, parted by commas, are needed")
    args.columns = [int(field) for field in fields]
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise LaftError(f"{args.out}: a file; --out names a folder")
    absent = next((path for path in args.text if not path.is_file()), None)
    if absent is not None:  # said before hours are spent on the others
        raise LaftError(f"{absent}: no such text file")


def _kept_tags(args: argparse.Namespace, folder: "Folder") -> list[str]:
    """The tags that stay, in the dictionary's order."""
    from laft_fairseq.languages.tags import split_tags, unknown

    wanted = split_tags(args.keep_langs) or folder.tags
    for tag in wanted:
        if tag not in folder.tags:
            raise LaftError(unknown("--keep-langs", tag, folder.path, folder.tags))
    return [tag for tag in folder.tags if tag in wanted]


def _select(args: argparse.Namespace, folder: "Folder", tags: list[str]) -> "Selection":
    from laft_fairseq.backbone import subword_selection as piece_selection
    from laft_fairseq.backbone import trimming
    from laft_fairseq.languages import sentencepiece_dictionary
    from laft_fairseq.languages.vocabulary_files import SENTENCEPIECE

    if not args.text:
        return piece_selection.by_script(folder.pieces, tags)
    model = sentencepiece_dictionary.load(folder.path / SENTENCEPIECE)
    counts, number = trimming.count_pieces(model, _texts(args, "counting"), args.workers)
    if not counts.any():
        raise LaftError(f"{args.text[0]}: {number} texts, and all are empty")
    return piece_selection.by_count(folder.pieces, counts, args.min_count, args.max_pieces)


def _texts(args: argparse.Namespace, doing: str) -> Iterator[str]:
    """The texts of all files, with progress."""
    from tqdm import tqdm

    from laft_fairseq.files import lines

    for path in args.text:
        shown = sys.stderr.isatty()
        if not shown:
            print(f"{doing}: {path}", file=sys.stderr)
        yield from tqdm(lines(path, args.columns), f"{doing} {path.name}", disable=not shown)


def _compare(
    args: argparse.Namespace, folder: "Folder", pieces: bytes, selection: "Selection"
) -> "Coverage | None":
    """Segment the text by the whole and the trimmed model; None without text."""
    import sentencepiece

    from laft_fairseq.backbone import trimming
    from laft_fairseq.languages import sentencepiece_dictionary
    from laft_fairseq.languages.vocabulary_files import SENTENCEPIECE

    small = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    if not args.text:
        return None
    whole = sentencepiece_dictionary.load(folder.path / SENTENCEPIECE)
    texts = _texts(args, "checking")
    return trimming.compare(whole, small, selection.new_ids, texts, args.workers)


def _report(
    folder: "Folder", trimmed: "BackboneFolder", selection: "Selection", covered: "Coverage | None"
) -> None:
    from laft_fairseq.backbone.trimming import parameters, stored
    from laft_fairseq.checkpoints.backbone import EMBEDDING

    total, kept, forced = (
        int(n) for n in (selection.keep.size, selection.keep.sum(), selection.forced.sum())
    )
    before, after = parameters(folder.backbone.state), trimmed.parameters
    rows, d = folder.backbone.state[EMBEDDING].shape
    old_size, new_size = stored(folder.backbone.state), trimmed.size
    lines = [
        f"pieces      {total:,} -> {kept:,} ({_percent(kept, total)}); {forced:,} of them are "
        "specials, bytes and the like, or single characters of the text",
        f"languages   {len(folder.tags)} -> {len(trimmed.tags)}: {', '.join(trimmed.tags)}",
        "text        none given, so segmentation was checked on none",
        f"parameters  {before:,} -> {after:,} ({_percent(after, before)}): {rows:,} -> "
        f"{trimmed.rows:,} rows of {d}",
        f"on disk     {_megabytes(old_size)} -> {_megabytes(new_size)} of weights",
        f"memory      {_megabytes(FP32 * (before - after))} less in fp32, "
        f"{_megabytes(ADAM * (before - after))} less where the embedding is trained with Adam",
        f"logits      {FP32 * rows:,} -> {FP32 * trimmed.rows:,} bytes a target token in fp32",
    ]
    if covered is not None:
        lines[2] = (
            f"text        {_percent(covered.kept_tokens, covered.tokens)} of {covered.tokens:,} "
            f"tokens are kept pieces\n            {covered.covered_texts:,} of {covered.texts:,} "
            "texts are of kept pieces alone: each is segmented as before"
        )
    print("\n".join(lines))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
