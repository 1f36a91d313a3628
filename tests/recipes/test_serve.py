"""The page of `laft serve` in a browser: paste, generate, download, upload, limits, two users."""

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import chromium
from tests.chromium import Chromium, wait_for

gradio = pytest.importorskip("gradio", reason="Gradio is not installed (requirements-serve.txt)")
pytestmark = [
    pytest.mark.recipe,
    pytest.mark.skipif(not chromium.PROGRAM, reason="no Chromium (.ci/run installs Debian's)"),
]

LANG = "fr_XX"
TEXT = "Ksnip permet de prendre des captures d’écran et de les annoter."
HOSTILE = "<script>document.title='one'</script> ${document.title='two'} {{value}} <img src=x>"


@pytest.fixture(scope="module")
def address(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of the stage 1 that ships, served by this process."""
    import uvicorn

    from laft_fairseq import hub
    from laft_fairseq.serving import page

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        mini = repository / "examples" / "mini" / "model"
        generator = hub.load(mini / "laft-stage1.pt", backbone=mini / "model.pt", device="cpu")
        app = page.application(page.build(generator, "stage <1>"), "127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_for(lambda: server.started, "the server")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium.chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


def generate(page: Any, text: str) -> None:
    """Paste a text, choose its language and start the search."""
    page.type("#texts textarea", text)
    page.click(f"#lang input[value={LANG}]")
    page.click("#generate")


def records(page: Any, folder: Path) -> list[dict[str, Any]]:
    """What the download of a page holds."""
    page.click("#download")
    path = folder / "outputs.jsonl"
    wait_for(path.exists, "the download")
    found = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    return found


def test_two_users_at_once_get_their_own_outputs(
    browser: Chromium, address: str, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    texts = [TEXT, "Un lecteur de musique pour le bureau. Il lit aussi la radio."]
    for folder in folders:
        folder.mkdir()
    pages = [browser.open(address, folder) for folder in folders]
    for page in pages:
        page.settle()
    for page, text in zip(pages, texts, strict=True):
        generate(page, text)
    for page, text, folder in zip(pages, texts, folders, strict=True):
        page.wait("Boolean(document.querySelector('table.outputs mark'))")
        (record,) = records(page, folder)
        assert record["source"] == text
        assert record["lang"] == record["output_lang"] == LANG
        assert record["lead1"] == text.partition(". ")[0].rstrip(".") + "."
        (output,) = record["outputs"]
        assert output["text"] in page.run("document.querySelector('table.outputs').innerText")
        assert output["score"] < 0
        assert 0 <= output["copied"] <= 100
    loaded = pages[0].run("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded
    outside = [url for url in loaded if not url.startswith((address, "data:", "blob:"))]
    assert not outside
    shot = pages[0].send("Page.captureScreenshot")["data"]
    (tmp_path / "page.png").write_bytes(base64.b64decode(shot))


def test_text_stays_text_and_limits_hold(browser: Chromium, address: str, tmp_path: Path) -> None:
    page = browser.open(address, tmp_path)
    page.settle()
    long = (HOSTILE + " mot" * 2500)[:10_000]
    generate(page, long)
    page.wait("Boolean(document.querySelector('table.outputs'))")
    assert HOSTILE in page.run("document.querySelector('table.outputs td').textContent")
    assert page.run("document.title") == "stage <1>"
    assert page.run("document.querySelectorAll('table.outputs :is(img, script)').length") == 0
    (record,) = records(page, tmp_path)
    assert record["source"] == long
    assert "cut to the model's" in record["note"]

    generate(page, "x" * 10_001)
    page.wait("document.body.innerText.includes('text 1: 10,001 characters, at most 10,000')")

    uploaded = tmp_path / "texts.jsonl"
    uploaded.write_text('{"text": "Un\\nlogiciel."}\n"Deux."\n')
    page.upload("input[type=file]", uploaded)
    page.wait("document.querySelector('#texts textarea').value === 'Un logiciel.\\nDeux.'")


def test_another_name_for_this_machine_is_refused(address: str) -> None:
    import httpx

    assert httpx.get(address).headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert httpx.get(address, headers={"Host": "elsewhere.example"}).status_code == 400
