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
        first: keep the first `size` lines that pass, in place of a sample.
        work: a folder for what does not fit into memory.
    """

    def __init__(self, size: int, seed: int, reason: str, first: bool, work: Path) -> None:
        self.size, self.first = size, first
        self.lines = self.rows = 0
        self.threshold = MAX_KEY  # of ranks: only smaller ones can enter the sample
        self.reasons: Counter[str] = Counter()  # of the lines that were looked at
        self._database = duckdb.connect(
            config={"memory_limit": "400MB", "temp_directory": str(work)}
        )
        self._sql("CREATE TABLE sample (rank HUGEINT, key UBIGINT, place BIGINT, line VARCHAR)")
        self._judge = f"""CREATE OR REPLACE TEMP TABLE block AS
            WITH text AS (SELECT string_split(?, chr(10)) AS lines),
            placed AS (
                SELECT unnest(lines) AS line, ? + generate_subscripts(lines, 1) AS place FROM text),
            keyed AS (SELECT *, md5_number_lower('{seed}:' || line) AS key FROM placed),
            ranked AS (SELECT *, {"place" if first else "key"}::HUGEINT AS rank FROM keyed)
            SELECT *, {reason} AS reason FROM ranked WHERE rank < ?::HUGEINT"""

    def add(self, block: bytes) -> None:
        """Offer a block of whole lines, without the last one's line end."""
        text = block.decode("utf-8", "replace").replace("\0", "\ufffd")
        lines = [line.strip() for line in text.split("\n")]
        self._sql(self._judge, ("\n".join(lines), self.lines, self.threshold))
        self.lines += len(lines)
        self.reasons.update(dict(self._sql("SELECT reason, count(*) FROM block GROUP BY reason")))
        kept = "SELECT rank, key, place, line FROM block WHERE reason = 'kept'"
        ((added,),) = self._sql(f"INSERT INTO sample {kept}")
        self.rows += added
        if self.rows > self.size + max(self.size // 2, SLACK):
            self.cut()

    def cut(self) -> None:
        """Reduce the table to the distinct lines of the sample."""
        self._sql(
            "CREATE OR REPLACE TABLE sample AS SELECT * FROM sample WHERE place IN "
            "(SELECT min(place) FROM sample GROUP BY key ORDER BY min(rank) LIMIT ?)",
            (self.size,),
        )
        ((self.rows, largest),) = self._sql("SELECT count(*), max(rank) FROM sample")
        if self.rows == self.size:
            self.threshold = largest

    @property
    def is_complete(self) -> bool:
        """Whether no further line can enter the sample."""
        if self.first and self.rows >= self.size:
            self.cut()
        return self.first and self.rows == self.size

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
        if self.threshold == MAX_KEY or self.first:
            return self.rows
        return round((self.size - 1) / (self.threshold / MAX_KEY))

    def _sql(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(sql, values).fetchall()
        except duckdb.Error as error:
            raise LaftError(f"DuckDB: {str(error).splitlines()[0]}") from error
        except RuntimeError as error:  # Ctrl-C
            raise KeyboardInterrupt from error
