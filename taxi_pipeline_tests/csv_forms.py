"""The forms in which CSVs of trips circulate, made out of a table's rows: names, quotes, line ends, times, packings."""

import csv
import gzip
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

Row = Sequence[str]


def as_text(value: Any) -> str:
    """A value as a CSV has it; times as the TLC writes them."""
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


@dataclass(frozen=True)
class Form:
    """How a table is written as CSV."""

    name: Callable[[str], str] = str
    """A column's name in the header."""
    value: Callable[[str], str] = str
    """A value, given as text."""
    time: str = "%Y-%m-%d %H:%M:%S"
    delimiter: str = ","
    line_end: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    before: str = ""
    """Before the header."""
    after_header: str = ""
    """Between header and rows."""
    trailing: int = 0
    """Empty values at the end of each row, which the header does not have."""
    added: Mapping[str, Callable[[int], str]] = field(default_factory=dict)
    """Column in front of the others → its value in a row."""
    ends: Callable[[str], str] = str
    """Applied to the whole text."""
    pack: Callable[[bytes], bytes] = bytes
    encoding: str = "utf-8"

    def write(self, table: pa.Table) -> bytes:
        """The table in this form."""
        names = [*self.added, *map(self.name, table.column_names)]
        text = self.before + self._lines([names]) + self.after_header + self._lines(self._rows(table))
        return self.pack(self.ends(text).encode(self.encoding))

    def _rows(self, table: pa.Table) -> list[Row]:
        columns = [[self._text(value) for value in column.to_pylist()] for column in table.columns]
        rows = list(zip(*columns, strict=True))
        return [
            [*(made(number) for made in self.added.values()), *row, *[""] * self.trailing]
            for number, row in enumerate(rows)
        ]

    def _text(self, value: Any) -> str:
        return self.value(value.strftime(self.time) if isinstance(value, datetime) else as_text(value))

    def _lines(self, rows: Sequence[Row]) -> str:
        written = io.StringIO()
        form: Any = {"delimiter": self.delimiter, "lineterminator": self.line_end, "quoting": self.quoting}
        csv.writer(written, **form).writerows(rows)
        return written.getvalue()


def zipped(content: bytes, name: str = "trips.csv", *others: str) -> bytes:
    """A zip with the content, and others that are empty."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        for other in others:
            archive.writestr(other, "")
    return packed.getvalue()


def _with_underscores(name: str) -> str:
    return {"VendorID": "vendor_id", "PULocationID": "pu_location_id", "DOLocationID": "do_location_id"}.get(name, name)


def _small_am_and_pm(text: str) -> str:
    return text.replace("AM", "am").replace("PM", "pm")


def _zipped_by_macos(content: bytes) -> bytes:
    return zipped(content, "a/trips.csv", "__MACOSX/a/._trips.csv", "a/.DS_Store", "a.txt")


def _half_with_crlf(text: str) -> str:
    lines = text.split("\n")
    return "\r\n".join(lines[:50]) + "\r\n" + "\n".join(lines[50:])


FORMS: Mapping[str, Form] = {
    "plain": Form(),
    "capitals": Form(name=str.upper),
    "small letters": Form(name=str.lower),
    "blank before each name": Form(name=lambda name: f" {name}"),
    "blank after each name": Form(name=lambda name: f"{name}  "),
    "underscores": Form(name=_with_underscores),
    "blanks in names": Form(name=lambda name: name.replace("_", " ").title()),
    "quoted names": Form(name=lambda name: name, quoting=csv.QUOTE_ALL),
    "quoted texts": Form(quoting=csv.QUOTE_NONNUMERIC),
    "byte order mark": Form(encoding="utf-8-sig"),
    "mark and quotes": Form(encoding="utf-8-sig", quoting=csv.QUOTE_ALL, line_end="\r\n"),
    "CRLF": Form(line_end="\r\n"),
    "CR": Form(line_end="\r"),
    "both line ends": Form(ends=_half_with_crlf),
    "blank second line": Form(after_header="\n"),
    "green of 2013": Form(line_end="\r\n", after_header="\r\n", trailing=2, name=lambda name: f"{name} "),
    "one comma at the end": Form(trailing=1),
    "three commas at the end": Form(trailing=3),
    "blank first lines": Form(before="\n\n"),
    "blank lines at the end": Form(ends=lambda text: text + "\n\n\n"),
    "rows of commas at the end": Form(ends=lambda text: text + ",,,,,,,,,,,,,,,,,,,\n" * 3),
    "no line end at the end": Form(ends=str.rstrip),
    "semicolons": Form(delimiter=";", before="sep=;\n"),
    "tabs": Form(delimiter="\t"),
    "bars": Form(delimiter="|"),
    "NYC Open Data": Form(time="%m/%d/%Y %I:%M:%S %p", name=str.lower),
    "small am and pm": Form(time="%m/%d/%Y %I:%M:%S %p", value=_small_am_and_pm),
    "24 hours, month first": Form(time="%m/%d/%Y %H:%M:%S"),
    "T and milliseconds": Form(time="%Y-%m-%dT%H:%M:%S.000"),
    "row numbers without a name": Form(added={"": str}),
    "row numbers of a data frame": Form(added={"Unnamed: 0": str}),
    "a column of somebody's": Form(added={"my note": lambda number: f"row {number}"}),
    "blanks around values": Form(value=lambda text: f" {text} " if text not in ("N", "Y", "") else text),
    "NULL for nothing": Form(value=lambda text: text or "NULL"),
    "NaN for nothing": Form(value=lambda text: text or "NaN"),
    "whole numbers with a point": Form(value=lambda text: f"{text}.0" if text.isdigit() else text),
    "gzip": Form(pack=gzip.compress),
    "zip": Form(pack=zipped),
    "zip of macOS": Form(pack=_zipped_by_macos),
}
"""Name → a form, each of which is imported as the table that it was made of."""
