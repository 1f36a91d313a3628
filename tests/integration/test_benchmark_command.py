"""The benchmarks' command, as their README has it, on the smallest shape."""

import json
import subprocess
import sys
from pathlib import Path


def test_our_beam_search_writes_what_fairseqs_writes(repository: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "benchmarks/run.py", "decode", "--only", "fairseq|full$", "--batch", "1",
        "--updates", "1", "--repeats", "1", "--work", tmp_path, "--results", tmp_path,
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), cwd=repository, check=True)
    result = json.loads((tmp_path / "results" / "decode-mini.json").read_text())
    assert result["failed"] == {}
    assert {name: row["same"] for name, row in result["systems"].items()} == {
        "fairseq": 1.0, "mbart_full": 1.0,
    }  # fmt: skip
    assert "| mbart_full |" in (tmp_path / "RESULTS.md").read_text()
