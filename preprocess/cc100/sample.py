"""A uniform sample of the distinct lines that pass the filters, in one pass and bounded memory.

A line's key is a seeded hash of its text: a random number that equal lines share. The sample is the
`size` passing lines with the smallest keys (bottom-k), so that each distinct line has the same
chance, whatever the order of the text and however often it occurs. Lines whose key is above the
largest one held are not looked at: soon almost all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from laft_fairseq.errors import LaftError

SLACK = 20_000  # lines beside the sample before it is cut to its size again
MAX_KEY = 2**64


class Sample:
    """The sample so far.

    Args:
        size: how many lines to keep.
        seed: another one gives another sample.
        reason: the SQL expression of `filters.reason_sql`.
        work: a folder for what does not fit into memory.
    """

    def __init__(self, size: int, seed: int, reason: str, work: Path) -> None:
        self.size = size
        self.lines = self.rows = 0
        self.threshold = MAX_KEY  # only smaller keys can enter the sample
        self.reasons: Counter[str] = Counter()  # of the lines that were looked at
        self._database = duckdb.connect(
            config={"memory_limit": "400MB", "temp_directory": str(work)}
        )
        self._sql("CREATE TABLE sample (key UBIGINT, line VARCHAR)")
        self._judge = f"""CREATE OR REPLACE TEMP TABLE block AS
            WITH text AS (SELECT unnest(string_split(?, chr(10))) AS line),
            keyed AS (SELECT line, md5_number_lower('{seed}:' || line) AS key FROM text)
            SELECT *, {reason} AS reason FROM keyed WHERE key < ?::HUGEINT"""

    def add(self, block: bytes) -> None:
        """Offer a block of whole lines, without the last one's line end."""
        text = block.decode("utf-8", "replace").replace("\0", "\ufffd")
        lines = [line.strip() for line in text.split("\n")]
        self._sql(self._judge, "\n".join(lines), self.threshold)
        self.lines += len(lines)
        self.reasons.update(dict(self._sql("SELECT reason, count(*) FROM block GROUP BY reason")))
        kept = "SELECT key, line FROM block WHERE reason = 'kept'"
        ((added,),) = self._sql(f"INSERT INTO sample {kept}")
        self.rows += added
        if self.rows > self.size + max(self.size // 2, SLACK):
            self.cut()

    def cut(self) -> None:
        """Reduce the table to the distinct lines of the sample."""
        self._sql(
            "CREATE OR REPLACE TABLE sample AS SELECT key, any_value(line) AS line FROM sample "
            "GROUP BY key ORDER BY key LIMIT ?", self.size,
        )  # fmt: skip
        ((self.rows, largest),) = self._sql("SELECT count(*), max(key) FROM sample")
        if self.rows == self.size:
            self.threshold = largest

    def sentences(self, start: int, stop: int) -> Iterator[str]:
        """The lines of the sample in random order, from number `start` up to `stop`."""
        result = self._database.execute(
            "SELECT line FROM sample ORDER BY key LIMIT ? OFFSET ?", [stop - start, start]
        )
        while rows := result.fetchmany(10_000):
            yield from (line for (line,) in rows)

    def passing(self) -> int:
        """How many distinct lines pass: counted if all were kept, else estimated (KMV).

        The estimate's standard error is 1 part in the square root of `size`.
        """
        if self.threshold == MAX_KEY:
            return self.rows
        return round((self.size - 1) / (self.threshold / MAX_KEY))

    def _sql(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(sql, values).fetchall()
        except duckdb.Error as error:
            raise LaftError(f"DuckDB: {str(error).splitlines()[0]}") from error
        except RuntimeError as error:  # Ctrl-C
            raise KeyboardInterrupt from error
