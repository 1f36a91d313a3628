"""`laft serve`: a page in the browser on which a model is tried."""

import argparse

HELP = "try a model in the browser"
DESCRIPTION = """\
Serve a page on which texts are pasted or uploaded (a text a line, JSONL or CSV) and a model's
outputs are shown beside them, with their scores, languages and what they copy. The page is for this
machine alone unless --host says otherwise; it has no password. Nothing is loaded from the network.
"""
EPILOG = """\
examples:
  laft serve --checkpoint my-task/out/model.pt
  laft serve --checkpoint exported-folder --port 8000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="C.pt",
        help="slim or whole, or a plain backbone, or the folder of one named model.pt")  # fmt: skip
    add("--data", metavar="DIR", help="folder of dict.txt, langs.txt, tag-layout.txt")
    add("--sentencepiece-model", metavar="FILE", help="the backbone's sentence.bpe.model")
    add("--backbone", metavar="M.pt", help="of a slim checkpoint, where it is not found by itself")
    add("--device", help="cpu, cuda or cuda:1 (default: cuda where there is one)")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    import importlib.util
    import socket
    import sys

    from laft_fairseq.errors import LaftError
    from laft_fairseq.files import check_exists

    if importlib.util.find_spec("gradio") is None:
        raise LaftError("gradio is not installed: pip install 'laft_fairseq[serve]'")
    check_exists(args.checkpoint, "no such checkpoint")
    try:
        socket.create_server((args.host, args.port)).close()
    except (OSError, OverflowError) as error:
        raise LaftError(f"{args.host}:{args.port}: {error}; choose another --port") from None
    from laft_fairseq import hub
    from laft_fairseq.serving.page import serve

    generator = hub.load(
        args.checkpoint, args.data, args.sentencepiece_model, args.backbone, device=args.device
    )
    print(f"open http://{args.host}:{args.port} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    serve(generator, args.checkpoint, args.host, args.port)
    return 0
