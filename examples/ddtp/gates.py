"""What has to hold before a table made with a backbone says anything: writes gates.json.

Four gates, read off results that are there: `supervised` and `failure` off the result cells
below RESULTS-DIR, `denoising` off the model card that examples/mini/evaluate.py writes, `retrieval`
off the card or, after removal, off a file of `evaluate.py --components C --retrieval-only`.
Nothing is run. A gate that misses its input is null, not run.

example:
  python examples/ddtp/gates.py examples/ddtp/out/tables --card examples/mini/model/card.json \\
      --retrieval examples/ddtp/out/tables/retrieval.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gate_rules
from gate_cells import Results, read_json, read_results
from gate_rules import Gate

from laft_fairseq.errors import LaftError
from laft_fairseq.files import check_output, write_json


def retrieval_of(card: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """The retrieval of a file of its own, of the card's backbone, else that of the card.

    Raises:
        LaftError: the file is of another backbone, or holds no retrieval.
    """
    if path is None:
        return dict(card["retrieval"])
    found = read_json(path)
    if not isinstance(found, dict) or "retrieval" not in found:
        raise LaftError(f"{path}: holds no retrieval; write it with examples/mini/evaluate.py")
    if found.get("fingerprint") != card["fingerprint"]:
        raise LaftError(
            f"{path}: of the backbone {found.get('fingerprint')}, the card is of "
            f"{card['fingerprint']}"
        )
    return dict(found["retrieval"])


def all_gates(found: Results, card: dict[str, Any], pairs: dict[str, Any]) -> list[Gate]:
    """The four, in order."""
    return [
        gate_rules.supervised(found.cells, found.supervised),
        gate_rules.retrieval(pairs),
        gate_rules.denoising(card),
        gate_rules.failure(found.cells, found.targets),
    ]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("results", type=Path, metavar="RESULTS-DIR", help="read recursively for *.json")
    add("--card", type=Path, required=True, help="the backbone's card.json")
    add("--retrieval", type=Path, metavar="FILE", help="retrieval after removal (else the card's)")
    add("--out", type=Path, metavar="FILE", help="JSON to write (RESULTS-DIR/gates.json)")
    return parser.parse_args()


def main() -> None:
    """Read, judge, write, print; wrong input ends in one line."""
    args = arguments()
    out = args.out or args.results / "gates.json"
    try:
        found = read_results(args.results)
        check_output(out, args.card, args.retrieval)
        card = read_json(args.card)
        lacking = {"fingerprint", "denoising", "reconstruction", "retrieval"} - set(card)
        if lacking:
            raise LaftError(f"{args.card}: lacks {', '.join(sorted(lacking))}")
        gates = all_gates(found, card, retrieval_of(card, args.retrieval))
        content = {"format": "laft-gates/1", "gates": [gate.as_json() for gate in gates]}
        write_json(out, content)
    except LaftError as error:
        raise SystemExit(f"gates.py: error: {error}") from None
    words = {True: "passed", False: "FAILED", None: "not run"}
    for gate in gates:
        print(f"{gate.name}: {words[gate.passed]}: {gate.detail}")
        if gate.passed is not True:
            print(f"  {gate.hangs}")


if __name__ == "__main__":
    main()
