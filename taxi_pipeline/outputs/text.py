"""The spelling of numbers and tables in outputs: round numbers, small shares, CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def short(number: float) -> str:
    """Write a round number in few letters: 0.3, 700, 2k, 10M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:g}{letter}"
    return f"{number:g}"


def percent(share: float) -> str:
    """Write a share in percent with one decimal; a small share above zero is never 0.0 %, and zero never -0.0 %."""
    return "< 0.1%" if 0 < share < 0.001 else f"{share:z.1%}"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
