"""Where a Hugging Face directory comes from; nothing is fetched here."""

from pathlib import Path
from typing import Any

import pytest

from laft_fairseq.backbone.download import find_directory
from laft_fairseq.errors import LaftError

huggingface_hub = pytest.importorskip("huggingface_hub")


def test_a_name_is_downloaded_and_a_directory_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    asked: list[Any] = []

    def snapshot_download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, set(allow_patterns)))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.chdir(tmp_path)
    assert find_directory(str(folder)) == (folder, "")
    assert find_directory("facebook/nllb-200", "abc") == (folder, folder.name)
    files = {"*.json", "*.safetensors", "sentencepiece.bpe.model"}
    assert asked == [("facebook/nllb-200", "abc", files)]
    for name in ("absent", "/no/such/folder", "a/b/c"):
        with pytest.raises(LaftError, match=f"^{name}: no such directory; give a downloaded"):
            find_directory(name)
    (folder / "model.safetensors").unlink()
    with pytest.raises(LaftError, match=r"^facebook/nllb-200: has no safetensors .*--revision"):
        find_directory("facebook/nllb-200")
    assert len(asked) == 2


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_: Any, **__: Any) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("Cannot find\nthe snapshot folder")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(LaftError) as caught:
        find_directory("facebook/nllb-200")
    assert str(caught.value).startswith("facebook/nllb-200: no such directory, and it cannot be")
    assert "\n" not in str(caught.value) and "Cannot find" in str(caught.value)
