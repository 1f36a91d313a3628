"""The page of `laft table` in a real browser, from made-up results."""

import base64
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import result_files as made

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
               None)  # fmt: skip
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    made.write(tmp_path / "results", seeds=2)
    page = tmp_path / "t.html"
    command = [sys.executable, "-m", "laft_fairseq.cli", "table", str(tmp_path / "results"),
               "--html", str(page)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    shown = subprocess.run(
        [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
         page.as_uri()],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    assert [html.unescape(heading) for heading in re.findall(r"<h2[^>]*>([^<]*)</h2>", shown)] == [
        "At a glance", "Sanity checks", "The paper's tables", "Ablations",
        "Differences to LAFT",
        "Representations", "Other scores, outputs and commands", "Learning curves",
        "Conditions and budget",
    ]  # fmt: skip
    drawn = re.findall(r'<svg role="img" aria-label="([^"]*)"', shown)
    assert drawn == ["Headlines, zero-shot: ROUGE-L with 95 % interval",
                     "Headlines, zero-shot: validation examples",
                     "Headlines, zero-shot: training loss"]  # fmt: skip
    assert f'<img src="data:image/png;base64,{base64.b64encode(made.PNG).decode()}"' in shown
