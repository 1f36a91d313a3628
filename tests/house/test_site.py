"""What `make docs` adds to MkDocs: pages for the whole repository, and nothing from the network."""

import argparse
import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from laft_fairseq.cli import main
from tests.house import shipped

pytest.importorskip("mkdocs", reason="MkDocs is not installed (make docs installs it)")


@pytest.fixture(scope="module")
def hooks() -> Any:
    path = shipped.REPOSITORY / "docs" / "site" / "hooks.py"
    spec = importlib.util.spec_from_file_location("hooks", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages(nav: Any) -> set[str]:
    """The pages of a navigation."""
    if isinstance(nav, str):
        return {nav}
    return {
        page for part in nav for page in pages(part.values() if isinstance(part, dict) else part)
    }


def navigation() -> set[str]:
    text = (shipped.REPOSITORY / "mkdocs.yml").read_text().replace("!!python/object/apply:", "!")
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda *_: None)
    return pages(yaml.load(text, loader)["nav"])


def test_every_document_and_package_has_a_page(hooks: Any) -> None:
    documents = {hooks.in_site(shipped.name(p)) for p in shipped.files() if p.suffix == ".md"}
    documents = {n for n in documents if n.endswith(".md") and not n.startswith(".github/")}
    options = {f"options/{name}.md" for name in ("laft", "fairseq", "scripts", "workflow")}
    assert navigation() == documents | set(hooks.api_pages()) | options
    listed = "\n".join(hooks.api_pages().values()).split()
    modules = {shipped.module_name(path) for path in shipped.python("laft_fairseq")}
    modules -= {name for name in modules if name.endswith("__main__") or name.count(".") == 0}
    packages = {f"laft_fairseq.{p.name}" for p in (shipped.REPOSITORY / "laft_fairseq").iterdir()}
    assert {name for name in listed if name.startswith("laft_fairseq.")} == modules - packages


def test_options_are_listed_with_their_help(hooks: Any) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=3, help="of <mask>|, %(default)s")
    parser.add_argument("--kind", choices=["a", "b"], required=True, help="a kind")
    assert hooks.options(parser).splitlines()[2:] == [
        r"| `--size`  | `3` | of &lt;mask&gt;\|, 3 |",
        "| `--kind` a, b | required | a kind |",
    ]
    for name in main.subcommands():
        group = main.build_parser(main.subcommands())._actions[-1].choices[name]  # type: ignore
        table = hooks.options(group)
        assert all(f"`{o}`" in table for a in group._actions[1:] for o in a.option_strings)


@pytest.mark.parametrize(
    ("page", "loaded"),
    [
        ('<script src="https://cdn.example/x.js"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example/x">', True),
        ("<style>@import 'https://fonts.example/x'</style>", True),
        ("body {background: url(https://cdn.example/x.png)}", True),
        ('<img alt="x" src=https://cdn.example/x.png>', True),
        ('<a href="https://example.org">x</a> <img src="figures/method.svg">', False),
        ('<link rel="canonical" href="https://example.org/">', False),
    ],
)
def test_a_page_that_loads_from_the_network_is_refused(
    hooks: Any, page: str, loaded: bool, tmp_path: Any
) -> None:
    (tmp_path / "page.html").write_text(page)
    if loaded:
        with pytest.raises(hooks.PluginError, match=r"page\.html: loads"):
            hooks.on_post_build({"site_dir": tmp_path})
    else:
        hooks.on_post_build({"site_dir": tmp_path})


def test_links_lead_to_pages_of_the_site(hooks: Any) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="tutorials/headlines.md"))
    text = "[a](../../examples/mini/README.md#stage-1) [b](own-task.md) [c](https://x)\n- one"
    assert hooks.on_page_markdown(text, page, None, None) == (
        "[a](../examples/mini/README.md#stage-1) [b](own-task.md) [c](https://x)\n\n- one"
    )
