"""The spelling of a difference: with its sign, and without one where it is rounded to zero.

It lies below all parts that write differences: checks, reports and metadata.
"""

from decimal import Decimal


def signed(difference: float | Decimal, spec: str) -> str:
    """Write a difference with its sign. One that is rounded to zero gets no sign, because it may be either.

    Args:
        difference: the number.
        spec: a format specification without a sign, such as `.1%` or `.2f`.
    """
    text = format(difference, f"+z{spec}")
    return text if any(digit in text for digit in "123456789") else text.removeprefix("+")
