"""`laft serve`: what it refuses before anything is loaded."""

import importlib.util
import socket
from pathlib import Path

import pytest

from laft_fairseq.cli import main


def test_a_port_that_is_taken_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "model.pt"
    checkpoint.touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main.main(["serve", "--checkpoint", str(checkpoint), "--port", port]) == 2
    assert f"127.0.0.1:{port}: " in (error := capsys.readouterr().err)
    assert "choose another --port" in error


def test_without_gradio_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main.main(["serve", "--checkpoint", "model.pt"]) == 2
    assert "pip install 'laft_fairseq[serve]'" in capsys.readouterr().err
