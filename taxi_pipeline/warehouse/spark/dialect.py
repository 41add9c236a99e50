"""The pipeline's statements, which are DuckDB's, in Spark's SQL.

Statements outside the engines' folders mean the same in both once they are translated; `warehouse.sql` has helpers for
what is spelled differently, and tests translate and run every statement.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from sqlglot import exp

TYPES = {"VARCHAR": "STRING", "TIMESTAMP": "TIMESTAMP_NTZ"}
"""DuckDB's type → Spark's, where they have other names. Times are wall time, without a zone."""


def spark_type(type_: str) -> str:
    """Spark's name of a declared type."""
    return TYPES.get(type_, type_)


def schema(types: Mapping[str, str]) -> str:
    """Column name → declared type, as Spark's schema of a data frame."""
    return ", ".join(f"{name} {spark_type(type_)}" for name, type_ in types.items())


def arguments(values: Sequence[Any]) -> dict[str, Any]:
    """The values by the names that `parse` gives their markers."""
    return {f"v{number}": value for number, value in enumerate(values)}


@lru_cache(maxsize=1000)
def parse(sql: str) -> "exp.Expr":
    """A statement's syntax tree; its question marks have become named markers, `v0`, `v1` and so on.

    Spark Connect 4.1.3 gives more than a handful of question marks each other's values, without an error; named markers
    get the right ones.
    """
    import sqlglot
    from sqlglot.dialects import DuckDB

    # A question mark inside a text is part of that text's token.
    marks = [token.start for token in DuckDB().tokenize(sql) if token.token_type.name == "PLACEHOLDER"]
    bounds = [0, *(mark + 1 for mark in marks)]
    parts = [sql[start:end] for start, end in zip(bounds, [*marks, len(sql)], strict=True)]
    named = parts[0] + "".join(f"$v{number}{part}" for number, part in enumerate(parts[1:]))
    return sqlglot.parse_one(named, read="duckdb")


@lru_cache(maxsize=1000)
def parse_spark(sql: str) -> "exp.Query":
    """The syntax tree of a SELECT in Spark's own SQL."""
    import sqlglot

    return cast("exp.Query", sqlglot.parse_one(sql, read="spark"))


def to_spark(tree: "exp.Expr") -> str:
    """The SQL of a syntax tree as Spark spells it.

    Raises:
        sqlglot.UnsupportedError: a part of it can't be said to Spark.
    """
    from sqlglot import ErrorLevel

    return tree.sql(dialect="spark", unsupported_level=ErrorLevel.RAISE)
