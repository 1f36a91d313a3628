"""The page: one Gradio interface on one loaded model, which calls nothing outside this machine."""

import base64
import html
import os
import tempfile
from pathlib import Path
from typing import Any

from laft_fairseq.errors import LaftError
from laft_fairseq.hub.generator import Generator
from laft_fairseq.scoring.language_id import identify
from laft_fairseq.scoring.measures import marked_words
from laft_fairseq.scoring.trivial_baselines import sentences
from laft_fairseq.serving import texts as page_texts

MAX_BEAM = 10
SAME = "as the input"
# The browser loads nothing that this server does not send.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
)
CSS = """
table.outputs {width: 100%; border-collapse: collapse}
table.outputs td, table.outputs th {vertical-align: top; text-align: left; padding: .5em;
  border-top: 1px solid; width: 33%; overflow-wrap: anywhere}
footer {display: none}
"""


def results(
    generator: Generator, texts: list[str], lang: str, output_lang: str, **search: Any
) -> list[dict[str, Any]]:
    """Return a record for each text: source, LEAD-1, outputs with score, language and copying.

    `language` is what the output is identified as among the model's languages; `copied` the
    percentage of its words that the source has, None of an output without a word.
    """
    page_texts.check_limits(texts)
    if not 1 <= search["beam"] <= MAX_BEAM:
        raise LaftError(f"beam {search['beam']}: from 1 to {MAX_BEAM}")
    outputs = generator.hypotheses(texts, lang, output_lang, len(texts), **search)
    known, records = generator.languages(), []
    for text, hypotheses in zip(texts, outputs, strict=True):
        size = generator.task.cfg.max_source_positions
        tokens = len(generator.tokenizer.encode(text)) + 1
        record: dict[str, Any] = {
            "source": text, "lang": lang, "output_lang": output_lang,
            "lead1": next(iter(sentences(text, lang)), ""),
            "note": f"cut to the model's {size} tokens (it has {tokens})" if tokens > size else "",
        }  # fmt: skip
        record["outputs"] = [
            {
                "text": hypothesis.text,
                "score": round(hypothesis.score, 4),
                "language": identify(hypothesis.text, known, text) or "undecidable",
                "copied": _share_copied(hypothesis.text, text),
            }
            for hypothesis in hypotheses
        ]
        records.append(record)
    return records


def _share_copied(output: str, source: str) -> float | None:
    """The percentage of the output's words that the source has."""
    words = [copied for _, copied in marked_words(output, source) if copied is not None]
    return round(100 * sum(words) / len(words), 1) if words else None


def build(generator: Generator, name: str) -> Any:
    """Return the Gradio interface of a model, `name` its title."""
    import gradio

    def refuse(error: LaftError) -> Exception:
        return gradio.Error(html.escape(str(error)), print_exception=False)

    def upload(path: str) -> str:
        try:
            lines = page_texts.texts_of_file(Path(path).name, Path(path).read_bytes())
            page_texts.check_limits(lines)
        except LaftError as error:
            raise refuse(error) from None
        return "\n".join(lines)

    def generate(
        text: str, lang: str | None, output: str, beam: float, lenpen: float, nbest: float
    ) -> str:
        search = {"beam": int(beam), "lenpen": float(lenpen), "nbest": int(nbest)}
        try:
            if lang is None:
                raise LaftError("choose the input language")
            output_lang = lang if output == SAME else output
            records = results(generator, text.splitlines(), lang, output_lang, **search)
        except LaftError as error:
            raise refuse(error) from None
        data = base64.b64encode(page_texts.as_jsonl(records).encode()).decode()
        link = f"data:application/jsonl;base64,{data}"
        button = (
            f"<p><a id='download' download='outputs.jsonl' href='{link}'>Download JSONL</a></p>"
        )
        return button + page_texts.as_html(records)

    languages = generator.languages()
    with gradio.Blocks(title=name, analytics_enabled=False) as page:
        gradio.Markdown(f"## {page_texts.escaped(name)}")
        with gradio.Row():
            with gradio.Column(scale=2):
                text = gradio.Textbox(
                    label=f"Texts, one a line (at most {page_texts.MAX_TEXTS})", lines=8,
                    max_lines=20, elem_id="texts",
                )  # fmt: skip
                file = gradio.UploadButton(
                    "Upload lines, JSONL or CSV", file_types=[".txt", ".jsonl", ".csv"], size="sm"
                )
            with gradio.Column():
                lang = gradio.Radio(languages, label="Input language", elem_id="lang")
                output = gradio.Radio([SAME, *languages], value=SAME, label="Output language")
                beam = gradio.Slider(1, MAX_BEAM, 5, step=1, label="Beam")
                lenpen = gradio.Slider(0, 4, 1.5, step=0.1, label="Length penalty")
                nbest = gradio.Slider(1, MAX_BEAM, 1, step=1, label="Outputs of each text")
                button = gradio.Button("Generate", variant="primary", elem_id="generate")
        shown = gradio.HTML(elem_id="outputs")
        file.upload(upload, file, text, api_visibility="private")
        button.click(
            generate, [text, lang, output, beam, lenpen, nbest], shown, api_visibility="private"
        )
    return page.queue(default_concurrency_limit=2, max_size=20, api_open=False)


def application(page: Any, host: str, port: int) -> Any:
    """Return the ASGI application of a page: only for this host's name, and without the outside."""
    import gradio
    from fastapi import FastAPI, Request
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host in {"127.0.0.1", "localhost", "::1"}:  # another site's name may lead here, too
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])

    @app.middleware("http")
    async def policy(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    return gradio.mount_gradio_app(
        app, page, "/", server_name=host, server_port=port, footer_links=[], theme=theme, css=CSS,
        max_file_size=page_texts.MAX_BYTES, ssr_mode=False, enable_monitoring=False, pwa=False,
    )  # fmt: skip


def serve(generator: Generator, name: str, host: str, port: int) -> None:
    """Serve the page until it is interrupted; uploads are deleted then."""
    import uvicorn

    with tempfile.TemporaryDirectory(prefix="laft-serve-") as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        app = application(build(generator, name), host, port)
        uvicorn.run(app, host=host, port=port, log_level="warning")
