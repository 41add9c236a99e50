"""A process of its own for one question of somebody who may ask anything: started as a script by `questions.bounded`.

It reads a question as JSON from its standard input and writes an answer, or a refusal, as JSON to its standard output.
A process, because DuckDB's own limits don't hold for all that a SELECT can do: the text that a function makes lies
outside of its `memory_limit`, and some functions (`levenshtein`) don't hear an interrupt. The system's limits do.

Only the standard library and DuckDB are imported, so that a question begins within a tenth of a second. What may be
asked, and how much of it is answered, is here; who asks, and of which file, is not.
"""

import json
import re
import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from datetime import time as time_of_day
from math import isfinite
from typing import Any

import duckdb

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
"""Functions that may stand in FROM. All others are refused: they read files, settings or the catalogue, or run text."""

_EXACT_INTEGERS = 2**53
"""Up to here readers of JSON that take numbers for doubles keep them exact."""
_LONGEST_MESSAGE = 800
_ROWS_AT_ONCE = 100
_SPARE_CPU_SECONDS = 10


class _RefusedError(Exception):
    """The question gets no answer, and its message says why."""


def main() -> None:
    """Answer the question on the standard input."""
    question = json.loads(sys.stdin.buffer.read())
    _limit_this_process(question)
    try:
        answer = _answer(question)
    except Exception as error:  # a value of a type that Python lacks is no error of DuckDB's
        answer = {"refused": _in_words(error, question)}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


def _limit_this_process(question: Mapping[str, Any]) -> None:
    """Let the system refuse what DuckDB can't: memory, files that are written, processor time without end."""
    resource.setrlimit(resource.RLIMIT_AS, (question["address_space_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where whoever started this is gone, nobody else would end it.
    seconds = int(question["seconds"] * question["threads"]) + _SPARE_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    with duckdb.connect(question["database"], read_only=True) as connection:
        for setting, value in _settings(question).items():
            connection.execute(f"SET {setting} = {value}")
        _require_one_select(connection, question["sql"])
        timer = threading.Timer(question["seconds"], connection.interrupt)
        timer.daemon = True
        timer.start()
        began = time.monotonic()
        try:
            answer = _rows(connection, question)
        finally:
            timer.cancel()
        return {**answer, "seconds": round(time.monotonic() - began, 3)}


def _settings(question: Mapping[str, Any]) -> dict[str, str]:
    """Setting → value as SQL, in the order in which DuckDB takes them: after the last ones no other can be set."""
    return {
        "memory_limit": f"'{int(question['memory_mb'])}MB'",
        "threads": f"{int(question['threads'])}",
        "temp_directory": "''",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        # A name that is no table would be looked for among the variables of this process.
        "python_enable_replacements": "false",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }


def _require_one_select(connection: "duckdb.DuckDBPyConnection", sql: str) -> None:
    """Refuse everything but one SELECT over tables, as DuckDB's own parser understands the text.

    Raises:
        _RefusedError: it is something else.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise _RefusedError(f"There are {len(statements)} statements; ask one SELECT at a time.")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise _RefusedError(f"This is a statement of the kind {kind.name}; only SELECT is answered.")
    ((serialized,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = json.loads(serialized)
    if tree.get("error"):
        raise _RefusedError(f"DuckDB's parser can't check this SELECT: {tree.get('error_message')}")
    functions = {node["function"]["function_name"].lower() for node in _nodes(tree, "TABLE_FUNCTION")}
    if refused := sorted(functions - TABLE_FUNCTIONS):
        raise _RefusedError(
            f"The function {refused[0]} is not available in FROM; what is: {', '.join(sorted(TABLE_FUNCTIONS))}."
        )


def _nodes(tree: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """All nodes of a kind in a parsed statement, however deep."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            if node.get("type") == kind:
                yield node
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)


def _rows(connection: "duckdb.DuckDBPyConnection", question: Mapping[str, Any]) -> dict[str, Any]:
    """Run the SELECT, and take rows until a limit is reached."""
    asked = connection.sql(question["sql"])
    types = [str(type_) for type_ in asked.types]
    columns = [{"name": name, "type": type_} for name, type_ in zip(asked.columns, types, strict=True)]
    # By position, because names may be there twice.
    shown = [f"CAST(#{n} AS VARCHAR)" if _is_of_time(type_) else f"#{n}" for n, type_ in enumerate(types, start=1)]
    found = asked.project(", ".join(shown)).limit(question["rows"] + 1).fetchall()
    rows: list[list[Any]] = []
    left = question["characters"] - len(json.dumps(columns, ensure_ascii=False))
    for row in found[: question["rows"]]:
        values = [_exact(value) for value in row]
        left -= len(json.dumps(values, ensure_ascii=False))
        if left < 0:
            break
        rows.append(values)
    if left >= 0:
        return {"columns": columns, "rows": rows, "cut": "rows" if len(found) > len(rows) else None}
    if not rows:
        raise _RefusedError(
            f"A single row has more than {question['characters']:,} characters: ask for fewer columns, or for the "
            "beginning of a text with left(column, 100)."
        )
    return {"columns": columns, "rows": rows, "cut": "characters"}


def _is_of_time(type_: str) -> bool:
    """True for types of which Python keeps less: it has no infinity, and no nanoseconds."""
    return bool(re.fullmatch(r"(DATE|TIME|TIMESTAMP|INTERVAL)([ _][A-Z_ ]+)?", type_))


def _exact(value: Any) -> Any:
    """The value for JSON without a loss: what JSON has no type for becomes text."""
    match value:
        case None | bool() | str():
            exact: Any = value
        case int():
            exact = value if abs(value) <= _EXACT_INTEGERS else str(value)
        case float():
            exact = value if isfinite(value) else str(value)
        case datetime():
            exact = value.isoformat(" ")
        case date() | time_of_day():
            exact = value.isoformat()
        case bytes():
            exact = value.hex()
        case list() | tuple():
            exact = [_exact(each) for each in value]
        case dict():
            exact = {str(key): _exact(each) for key, each in value.items()}
        case _:
            exact = str(value)
    return exact


def _in_words(error: Exception, question: Mapping[str, Any]) -> str:
    if isinstance(error, duckdb.InterruptException):
        return (
            f"It took longer than {question['seconds']:g} s. Ask for fewer days or of a smaller table: "
            "zone_hourly_trips has the trips by day, hour and zone."
        )
    if isinstance(error, (MemoryError, RecursionError, duckdb.OutOfMemoryException)):
        return f"It needs more than {question['memory_mb']} MB of memory. Ask for fewer rows or groups."
    said = str(error)
    return said if len(said) <= _LONGEST_MESSAGE else f"{said[:_LONGEST_MESSAGE]} …"


if __name__ == "__main__":
    main()
