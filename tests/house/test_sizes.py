"""What keeps the repository easy to walk through."""

from tests.house import shipped

FILE_BYTES = 30 * 2**20
ROOT_MODULES = 5


def test_no_big_files() -> None:
    big = [shipped.name(path) for path in shipped.files() if path.stat().st_size > FILE_BYTES]
    assert not big, f"over {FILE_BYTES} bytes: {big}"


def test_few_modules_at_the_root() -> None:
    modules = sorted(path.name for path in (shipped.REPOSITORY / "laft_fairseq").glob("*.py"))
    assert len(modules) <= ROOT_MODULES, f"{modules}: give each a package"
