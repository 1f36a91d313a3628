"""Apertium, one line out for one line in: stdin to stdout, through one direction after another.

    preprocess/apertium_lines.sh eng-cat cat-fra < english.txt > french.txt
    preprocess/apertium_lines.sh --version

Apertium reads running text: it joins and moves lines, an unreadable byte empties everything after
it, and a line of thousands of words takes minutes. So each line goes in as a paragraph of its own,
without control characters, long ones in pieces; the paragraphs are checked to come out one by one,
and what does not is translated again, apart. Lines without a letter or digit, and words of over
200 characters, are not Apertium's business: they stay as they are. Unknown words come without `*`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

MAX_PIECE = 1000  # characters; time grows faster than length
MAX_WORD = 200  # characters
INSTALL = "apt-get install apertium apertium-eng-cat apertium-fra-cat"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_SENTENCE_END = re.compile(r"[.!?:;]$")


class EngineError(Exception):
    """Apertium cannot be used; the message is one line with the remedy."""


def clean(line: str) -> str:
    """The line without control characters and with each run of white space as one space."""
    return " ".join(_UNPRINTABLE.sub(" ", line).split())


def is_text(piece: str) -> bool:
    """Whether there is anything to translate: a letter or digit, and no endless word."""
    return any(map(str.isalnum, piece)) and max(map(len, piece.split())) <= MAX_WORD


def pieces(line: str) -> list[str]:
    """A clean line cut at sentence ends, or else at spaces, so that no piece is too long."""
    if len(line) <= MAX_PIECE and all(len(word) <= MAX_WORD for word in line.split()):
        return [line]
    found: list[list[str]] = [[]]
    size = 0
    for word in line.split():
        last = found[-1]
        ended = size > MAX_PIECE // 2 and _SENTENCE_END.search(last[-1])
        endless = len(word) > MAX_WORD or (last and len(last[-1]) > MAX_WORD)
        if last and (ended or endless or size + len(word) >= MAX_PIECE):
            found.append([])
            size = 0
        found[-1].append(word)
        size += len(word) + 1
    return [" ".join(words) for words in found]


def environment() -> dict[str, str]:
    """Ours without LD_PRELOAD: beside jemalloc, which speeds training up, Apertium ends at once."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def run(direction: str, texts: list[str]) -> list[str] | None:
    """Translate texts, a paragraph each; None if other paragraphs than these came out."""
    stream = "".join(f"{text}\n\n" for text in texts)
    done = subprocess.run(
        ["apertium", "-u", direction],
        input=stream.encode(), stdout=subprocess.PIPE, env=environment(), check=False,
    )  # fmt: skip
    found = done.stdout.decode(errors="replace").removesuffix("\n").split("\n")
    if done.returncode or len(found) != 2 * len(texts) or any(map(str.strip, found[1::2])):
        return None
    return [clean(text) for text in found[::2]]


def translate(direction: str, texts: list[str]) -> list[str]:
    """One translation a text; what gets lost or mixed up among the others is done again apart.

    Raises:
        EngineError: a text cannot be translated even alone.
    """
    if not texts:
        return []
    found = run(direction, texts)
    if found is None and len(texts) == 1:
        raise EngineError(f"apertium {direction} fails on the line {texts[0][:60]!r}")
    lost = [i for i, text in enumerate(found or texts) if found is None or not text]
    if not lost or (found is not None and len(texts) == 1):
        return found or []
    if found is None or len(lost) == len(texts):
        middle = len(texts) // 2
        return translate(direction, texts[:middle]) + translate(direction, texts[middle:])
    for i, text in zip(lost, translate(direction, [texts[i] for i in lost]), strict=True):
        found[i] = text
    return found


def translate_lines(directions: list[str], lines: list[str]) -> list[str]:
    """Translate lines through all directions, in order."""
    for direction in directions:
        parts = [pieces(clean(line)) for line in lines]
        wanted = [piece for part in parts for piece in part if is_text(piece)]
        done = iter(translate(direction, wanted))
        lines = [" ".join(next(done) if is_text(p) else p for p in part) for part in parts]
    return [clean(line) for line in lines]


def known_directions() -> list[str]:
    """The directions that are installed."""
    if shutil.which("apertium") is None:
        raise EngineError(f"no apertium here: {INSTALL}")
    listing = subprocess.run(["apertium", "-l"], capture_output=True, text=True, check=False)
    return listing.stdout.split()


def version() -> str:
    """Apertium's version and, where dpkg knows them, those of its language packages."""
    known_directions()
    engine = subprocess.run(["apertium", "-V"], capture_output=True, text=True, check=False)
    told = [engine.stdout.strip()]
    if shutil.which("dpkg-query"):
        query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", "apertium-*-*"]
        packages = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        told += [line for line in packages.splitlines() if len(line.split()) == 2]
    return "; ".join(told)


def main(arguments: list[str]) -> int:
    """Translate stdin; an error is one line."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    try:
        if arguments == ["--version"]:
            print(version())
            return 0
        known = known_directions()
        for direction in arguments:
            if direction not in known:
                raise EngineError(f"no direction {direction} (there are {', '.join(known)})")
        lines = sys.stdin.buffer.read().decode(errors="replace").split("\n")
        if not lines[-1]:
            lines.pop()
        out = "".join(f"{line}\n" for line in translate_lines(arguments, lines))
        sys.stdout.buffer.write(out.encode())
    except EngineError as error:
        print(f"apertium_lines: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
