"""What a batch has done: a CSV, a row a face, complete after every photo."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str]
FIRST = ("file", "face", "output", "confidence", "warnings", "seconds")
LAST = ("error", "photo", "settings")  # the two are digests: what need not be done again


class Ledger:
    """The rows of a batch in a file that is whole at any time.

    Args:
        path: of the CSV; read if it is there, and then trusted in nothing but its form.
        attributes: names, each of which has the columns `NAME before` and `NAME after`.

    Raises:
        ValueError: the file is there and is no such CSV.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, attributes: Sequence[str]) -> None:
        self.path = path
        values = [f"{name} {when}" for name in attributes for when in ("before", "after")]
        self.columns = (*FIRST, *values, *LAST)
        self.rows: dict[str, list[Row]] = {}
        if path.exists():
            self._read()

    def put(self, file: str, rows: list[Row]) -> None:
        """Replace the rows of a photo, in which values may be missing, and write them."""
        self.rows[file] = [self._complete(row) for row in rows]
        self.write()

    def keep(self, files: Sequence[str]) -> None:
        """Drop the rows of all other photos, and write the rest."""
        self.rows = {file: rows for file, rows in self.rows.items() if file in set(files)}
        self.write()

    def write(self) -> None:
        """Write all rows beside the file, then put that in its place."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        for file in sorted(self.rows):
            writer.writerows(self.rows[file])
        beside = self.path.with_suffix(".csv.part")
        beside.write_text(text.getvalue(), "utf-8", "surrogateescape", newline="")
        os.replace(beside, self.path)

    def _complete(self, row: Row) -> Row:
        return {name: row.get(name) or "" for name in self.columns}

    def _read(self) -> None:
        text = self.path.read_text("utf-8", "surrogateescape")
        try:
            reader = csv.DictReader(io.StringIO(text, newline=""))
            if not {*FIRST, *LAST} <= {*(reader.fieldnames or ())}:
                raise ValueError
            for row in reader:
                complete = self._complete(row)
                self.rows.setdefault(complete["file"], []).append(complete)
        except (csv.Error, ValueError):
            raise ValueError(
                f"{str(self.path)!r} is no list of a batch. Name another folder with -o."
            ) from None
