"""Every statement that a test runs outside the engine's folder, translated to Spark's SQL.

`conftest` records the statements of each session: those that the package itself runs, not those of the tests, and not
those of an engine. Each is translated the first time that it is seen, and checked for what translates
without an error and means something else.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.duckdb.session import DuckDBSession
from taxi_pipeline.warehouse.tables import Table

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
    """The reason why a node means something else in Spark, or is missing there, although it translates."""
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


def modules_with_sql() -> set[str]:
    """The modules outside the engines that call a session's methods which take SQL, relative to the package."""
    return {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "warehouse" / "spark") and not path.is_relative_to(ENGINE)
        if any(_runs_sql(node) for node in ast.walk(ast.parse(path.read_text())))
    }


def _runs_sql(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("rows", "row", "table", "keep", "replace_days")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "session"
    )


def module_of_statement() -> Path | None:
    """The module of the package that runs the statement now; None when it is the engine or a test."""
    frame = sys._getframe(1)
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
    rows, table, replace_days = DuckDBSession.rows, DuckDBSession.table, DuckDBSession.replace_days
    keep = DuckDBSession.keep

    def check(sql: str, values: Sequence[Any]) -> None:
        if sql not in seen and (module := module_of_statement()):
            translate(sql)
            seen[sql] = module
            if bound is not None:
                bound[sql] = tuple(values)

    def checked_rows(self: DuckDBSession, sql: str, values: Sequence[Any] = ()) -> Any:
        check(sql, values)
        return rows(self, sql, values)

    def checked_table(self: DuckDBSession, sql: str, values: Sequence[Any] = ()) -> Any:
        check(sql, values)
        return table(self, sql, values)

    def checked_keep(self: DuckDBSession, name: str, sql: str) -> None:
        check(sql, ())
        keep(self, name, sql)

    def checked_replace_days(
        self: DuckDBSession, of: Table, fleet: str, days: Days, select: str, values: Sequence[Any] = (), *others: Any
    ) -> None:
        check(select, values)
        replace_days(self, of, fleet, days, select, values, *others)

    DuckDBSession.rows, DuckDBSession.table = checked_rows, checked_table  # type: ignore[method-assign]
    DuckDBSession.keep = checked_keep  # type: ignore[method-assign]
    DuckDBSession.replace_days = checked_replace_days  # type: ignore[method-assign]
    try:
        yield
    finally:
        DuckDBSession.rows, DuckDBSession.table = rows, table  # type: ignore[method-assign]
        DuckDBSession.keep = keep  # type: ignore[method-assign]
        DuckDBSession.replace_days = replace_days  # type: ignore[method-assign]
