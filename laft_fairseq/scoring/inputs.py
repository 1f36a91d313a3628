"""Bring together what belongs to one test set, from files and logs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from laft_fairseq.errors import LaftError
from laft_fairseq.files import read_lines
from laft_fairseq.scoring.fairseq_log import read_generate_log


@dataclass(frozen=True)
class Inputs:
    """n hypotheses and what belongs to them, with `notes` for the reader of the scores."""

    hypotheses: list[str]
    references: list[str]
    sources: list[str] | None
    english: list[str] | None
    more: list[list[str]] = field(default_factory=list)  # further references
    notes: list[str] = field(default_factory=list)


def read_inputs(
    lang: str,
    log: Path | None,
    hyp: Path | None,
    ref: Sequence[Path] | None,
    src: Path | None,
    english: Path | None,
) -> Inputs:
    """Read hypotheses from `log` or `hyp`, and what they are compared with.

    Either of them is given. Without `ref` and `src` the T- and S- lines of `log`, the output of
    fairseq-generate, serve. The other files hold a text a line.

    Raises:
        LaftError: a file is unreadable, empty, incomplete or of another length, or a log is of
            another language.
    """
    name, notes = str(log or hyp), []
    paths: dict[str, Path | None] = {"ref": None, "src": src, "english": english}
    paths |= {f"ref {n}" if n > 1 else "ref": path for n, path in enumerate(ref or (), 1)}
    columns: dict[str, list[str] | None] = dict.fromkeys(paths)
    if hyp is not None:
        hypotheses = read_lines(hyp)
    else:
        assert log is not None
        read = read_generate_log(log)
        _check_language(name, read.languages, lang)
        hypotheses = read.hypotheses
        columns |= {"ref": read.references, "src": read.sources}
        notes = [
            f"{name}: its {kind}- lines, which may be cut or hold <unk>, serve as --{option}; give "
            "the raw file for scores to report"
            for option, kind in (("ref", "T"), ("src", "S"))
            if columns[option] is not None and paths[option] is None
        ]
    for option, path in paths.items():
        if path is not None:
            column = columns[option] = read_lines(path)
            if len(column) != len(hypotheses):
                raise LaftError(
                    f"{name} has {len(hypotheses)} hypotheses for {lang} but {path} has "
                    f"{len(column)} lines: line i must belong to item i; use the files of the set "
                    "that was generated"
                )
    references = columns["ref"]
    if references is None:
        raise LaftError(f"{name}: no references for {lang}: give them with --ref")
    more = [column for name, column in columns.items() if name.startswith("ref ") and column]
    return Inputs(hypotheses, references, columns["src"], columns["english"], more, notes)


def _check_language(name: str, ends: Iterable[Collection[str]], lang: str) -> None:
    """Check that each line of the log is tagged as `lang`, at its beginning or end."""
    code = lang.split("_")[0]
    tags = {tag for pair in ends if all(t.split("_")[0] != code for t in pair) for tag in pair}
    if tags:
        raise LaftError(
            f"{name}: its texts are tagged {', '.join(sorted(tags))}, not {lang} alone: "
            "score each language's own log by its --lang"
        )
