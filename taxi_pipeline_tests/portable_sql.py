"""Every statement that a test runs outside the engine's folder, translated to Spark's SQL.

`conftest` records the statements of each session: those that the package itself runs, not those of the tests, and not
those under `warehouse/duckdb/`. Each is translated the first time that it is seen, and checked for what translates
without an error and means something else.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.warehouse.duckdb.session import DuckDBSession

if TYPE_CHECKING:
    from sqlglot import exp

PACKAGE = Path(__file__).resolve().parents[1] / "taxi_pipeline"
ENGINE = PACKAGE / "warehouse" / "duckdb"
SHARED = {PACKAGE / "warehouse" / "interface.py"}
"""Frames between a statement and the module that it belongs to."""


class NotPortableError(AssertionError):
    """A statement can't be translated, or not without changing its meaning."""


_SPELLINGS = {
    r"\bBY\s+ALL\b": "BY ALL does not say which columns are meant",
    r"\bFILTER\s*\(\s*(?!WHERE\b)": "FILTER needs WHERE",
}
"""Regular expression → what is wrong; the parser accepts these, and Spark or a reader does not."""


def translate(sql: str) -> str:
    """The statement in Spark's SQL.

    Raises:
        NotPortableError: the statement has a part that Spark does not know, or understands in another way.
    """
    # Here, because each process of tests imports this module, and most tests run no statement.
    from sqlglot.errors import SqlglotError

    from taxi_pipeline.warehouse.spark.dialect import parse, to_spark

    problems = [problem for spelling, problem in _SPELLINGS.items() if re.search(spelling, sql, re.IGNORECASE)]
    try:
        statement = parse(sql)
        problems += [problem for node in statement.walk() if (problem := _problem(node))]
        translated = to_spark(statement)
    except SqlglotError as error:
        raise NotPortableError(f"{error}: {sql}") from error
    if problems:
        raise NotPortableError(f"{'; '.join(problems)}: {sql}")
    return translated


def _problem(node: "exp.Expr") -> str | None:
    """What of a node changes its meaning in Spark, or is missing there, although it translates."""
    from sqlglot import exp

    problem: str | None = None
    match node:
        case exp.Extract() if node.name.upper() in ("DOW", "ISODOW", "DAYOFWEEK", "WEEK", "EPOCH"):
            problem = f"EXTRACT({node.name.upper()}) counts in another way in Spark, or is missing; use warehouse.sql"
        case exp.Tuple() if isinstance(node.parent, exp.Binary | exp.NullSafeNEQ | exp.NullSafeEQ):
            problem = "rows are not compared as one"
        case exp.TryCast() | exp.Quantile() | exp.PercentileCont() | exp.Median() | exp.Anonymous():
            problem = f"{node.sql('duckdb')} belongs into the engine's folder"
        case exp.Sub() if all(_is_time(side) for side in (node.this, node.expression)):
            problem = "a difference of times is an interval in Spark; use warehouse.sql"
    return problem


def _is_time(node: "exp.Expr") -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Column) and node.name.endswith(("_datetime", "_date"))


def module_of_statement() -> Path | None:
    """The module of the package that runs the statement now; None when it is the engine or a test."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.name in ("portable_sql.py", "contextlib.py") or path in SHARED:
            frame = frame.f_back
            continue
        return path if path.is_relative_to(PACKAGE) and not path.is_relative_to(ENGINE) else None
    return None


@contextmanager
def checked_statements(seen: dict[str, Path], bound: dict[str, tuple[Any, ...]] | None = None) -> Iterator[None]:
    """Translate each statement that is not among the seen ones, and keep it with its module.

    Args:
        seen: statement → module that runs it.
        bound: gets the values that were bound the first time, by statement.
    """
    execute, rows = DuckDBSession.execute, DuckDBSession.rows

    def checking(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: DuckDBSession, sql: str, values: Sequence[Any] = ()) -> Any:
            if sql not in seen and (module := module_of_statement()):
                translate(sql)
                seen[sql] = module
                if bound is not None:
                    bound[sql] = tuple(values)
            return method(self, sql, values)

        return run

    DuckDBSession.execute, DuckDBSession.rows = checking(execute), checking(rows)  # type: ignore[method-assign]
    try:
        yield
    finally:
        DuckDBSession.execute, DuckDBSession.rows = execute, rows  # type: ignore[method-assign]
