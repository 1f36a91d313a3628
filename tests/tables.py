"""The same records in every format of a table, as the tests of the data tools write them."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

Records = list[dict[str, Any]]
FORMATS = (".tsv", ".csv", ".csv.gz", ".jsonl", ".json", ".parquet", "folder")


def write(folder: Path, stem: str, kind: str, records: Records) -> Path:
    """`folder/stem` with the ending of `kind`, or a folder as `Dataset.save_to_disk` writes it."""
    path = folder / (stem if kind == "folder" else f"{stem}{kind}")
    if kind in (".parquet", "folder"):
        _write_arrow(path, records)
    elif kind == ".jsonl":
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")
    elif kind == ".json":
        path.write_text(json.dumps(records, indent=1), "utf-8")
    else:
        text = io.StringIO()
        names = list(records[0])
        writer = csv.DictWriter(text, names, delimiter="\t" if kind == ".tsv" else ",",
                                lineterminator="\n")  # fmt: skip
        writer.writeheader()
        writer.writerows(records)
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    return path


def _write_arrow(path: Path, records: Records) -> None:
    import pyarrow
    from pyarrow import ipc, parquet

    table = pyarrow.Table.from_pylist(records)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
        return
    path.mkdir()
    with ipc.new_stream(path / "data-00000-of-00001.arrow", table.schema) as stream:
        stream.write_table(table, max_chunksize=7)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": None}
    (path / "state.json").write_text(json.dumps(state))
    (path / "dataset_info.json").write_text("{}")
