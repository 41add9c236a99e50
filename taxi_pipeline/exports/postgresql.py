"""An export to PostgreSQL: the tables in a schema, written with `COPY … FROM STDIN`, each part in one transaction.

psycopg2 connects by libpq's own rules. docs/export.md says why it is not ADBC.
"""

import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from taxi_pipeline.exports.addresses import PostgresAddress, without_secrets
from taxi_pipeline.exports.sums import Dialect, SumsByDay, read_sums, select_sums
from taxi_pipeline.exports.target import BY_DAYS, EXPORT_LOG, ExportError, Recorded, Target, columns_to_add
from taxi_pipeline.tlc.months import Days, month_of
from taxi_pipeline.warehouse.tables import ZONES, Column, Table

if TYPE_CHECKING:
    import psycopg2.extensions
    import pyarrow as pa
    from typing_extensions import Buffer

    from taxi_pipeline.exports.contents import Change

SCHEMA = "taxi"
"""Where the tables are, unless the user names another schema."""

_TYPES = {
    "TINYINT": "smallint",
    "UTINYINT": "smallint",
    "SMALLINT": "smallint",
    "USMALLINT": "integer",
    "INTEGER": "integer",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "UBIGINT": "numeric(20,0)",
    "HUGEINT": "numeric(39,0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "VARCHAR": "text",
}
"""Declared type → PostgreSQL's, as its catalogue spells it; decimals keep their digits."""

_SPELLED: Mapping[str, str] = dict.fromkeys(("DATE", "TIMESTAMP"), "CAST({} AS VARCHAR)")
"""Arrow writes no year beyond 32767, which published times have."""

_SHAPE = "geom"
"""The column of `zones` that PostGIS makes of the declared text."""

_BLOCK_BYTES = 1 << 18

_LOCK = 0x7461_7869  # "taxi"
"""The first of the two numbers of the advisory lock; the second is the schema's."""


class UnknownTypeError(ExportError):
    """A declared column has a type that has none in the target."""


def postgres_type(column: Column, table: str) -> str:
    """The type of a declared column in PostgreSQL.

    Raises:
        UnknownTypeError: there is none that holds exactly the same values.
    """
    if column.type.startswith("DECIMAL("):
        return column.type.replace("DECIMAL", "numeric").replace(" ", "")
    if column.type not in _TYPES:
        raise UnknownTypeError(f"{table}.{column.name} is a {column.type}, which can't be exported to PostgreSQL")
    return _TYPES[column.type]


def create_table(schema: str, table: Table) -> list[str]:
    """The statements that make a table with its key and its index. Identifiers but for the schema are our own."""
    columns = [_declared(column, table) for column in table.columns]
    if table.key:
        columns.append(f"PRIMARY KEY ({', '.join(table.key)})")
    name = f"{quoted(schema)}.{table.name}"
    statements = [f"CREATE TABLE {name} ({', '.join(columns)})"]
    if table is EXPORT_LOG:
        statements.append(f"CREATE INDEX ON {name} (table_name, fleet, day)")
    elif table.kind in BY_DAYS:
        # By day alone as well as by day and fleet; the export deletes by it, too.
        statements.append(f"CREATE INDEX ON {name} ({table.month}, fleet)")
    return statements


def quoted(name: str) -> str:
    """The name of a schema as an identifier."""
    return '"{}"'.format(name.replace('"', '""'))


def _declared(column: Column, table: Table) -> str:
    return f"{column.name} {postgres_type(column, table.name)}{'' if column.nullable else ' NOT NULL'}"


@contextmanager
def open_postgres(address: PostgresAddress, *, schema: str = SCHEMA) -> "Iterator[PostgresTarget]":
    """Connect, and lock the schema for other exports as long as the block runs.

    Args:
        address: of the database.
        schema: is made where it does not exist.

    Raises:
        ExportError: the server can't be reached or refuses, another export writes there, or psycopg2 is not installed.
    """
    try:
        import psycopg2
    except ImportError as error:
        raise ExportError(
            "an export to PostgreSQL needs the extra postgres: pip install 'taxi-pipeline[postgres]'"
        ) from error
    with _explained(address, "the database can't be opened", "Check the URL, the password and the server's log"):
        connection = psycopg2.connect(address.url, application_name="taxi-pipeline export")
    with closing(connection):
        target = PostgresTarget(connection, address, schema)
        target.lock()
        yield target


class PostgresTarget(Target):
    """A schema of a PostgreSQL database, over one connection."""

    def __init__(self, connection: "psycopg2.extensions.connection", address: PostgresAddress, schema: str) -> None:
        self._connection = connection
        self._address = address
        self._schema = schema
        parameters = connection.get_dsn_parameters()
        self._database = f"database {parameters.get('dbname')} at {parameters.get('host', 'the local socket')}"

    @property
    def name(self) -> str:
        """The schema and the database."""
        return f"schema {self._schema} of {self._database}"

    def lock(self) -> None:
        """Take the schema's advisory lock, which ends with the connection.

        Raises:
            ExportError: another export has it.
        """
        with self._transaction("nothing was changed"):
            self._execute("SET TIME ZONE 'UTC'")
            self._execute("SET client_encoding = 'UTF8'")
            number = zlib.crc32(self._schema.encode()) - (1 << 31)
            ((taken,),) = self._rows("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, number])
        if not taken:
            raise ExportError(f"another export writes into {self.name}. Nothing was changed; run again when it is done")

    def prepare(self, tables: Sequence[Table]) -> None:
        """Make schema, tables, new columns, keys, indexes and comments, in one transaction."""
        with self._transaction("no table was changed"):
            # IF NOT EXISTS would need the right to make schemas, also where there is this one.
            if not self._rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", [self._schema]):
                self._execute(f"CREATE SCHEMA {quoted(self._schema)}")
            for table in (*tables, EXPORT_LOG):
                self._prepare(table)

    def _prepare(self, table: Table) -> None:
        found = self._column_types(table)
        expected = {column.name: postgres_type(column, table.name) for column in table.columns}
        if not found:
            for statement in create_table(self._schema, table):
                self._execute(statement)
        else:
            self._add_new_columns(table, found, expected)
        if table is ZONES and _SHAPE not in found:
            self._add_shapes()
        self._comment(table)

    def _add_shapes(self) -> None:
        """Where PostGIS is in the database, give the zones a column with their shapes, which the server computes."""
        found = self._rows(
            "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
            "WHERE extname = 'postgis'"
        )
        if not found:
            return
        its, name = quoted(found[0][0]), self._name_of(ZONES)
        self._execute(
            f"ALTER TABLE {name} ADD COLUMN {_SHAPE} {its}.geometry(MultiPolygon, 4326) "
            f"GENERATED ALWAYS AS ({its}.ST_Multi({its}.ST_GeomFromText(geometry, 4326))) STORED"
        )
        self._execute(f"CREATE INDEX ON {name} USING gist ({_SHAPE})")
        self._execute(f"COMMENT ON COLUMN {name}.{_SHAPE} IS 'The shape in geometry, for PostGIS'")

    def _column_types(self, table: Table) -> dict[str, str]:
        """Column → type, in order; empty when there is no such table."""
        return dict(
            self._rows(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class ON oid = attrelid "
                "JOIN pg_namespace ON pg_namespace.oid = relnamespace "
                "WHERE nspname = %s AND relname = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                [self._schema, table.name],
            )
        )

    def _add_new_columns(self, table: Table, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
        new = columns_to_add(table, found, expected)
        if new is None:
            raise ExportError(
                f"{self.name} has a table {table.name} of another kind: its columns are {_listed(found)}, where "
                f"{_listed(expected)} are expected. No table was changed; rename it, or export with another --schema"
            )
        for column in new:
            self._execute(f"ALTER TABLE {self._name_of(table)} ADD COLUMN {_declared(column, table)}")

    def _comment(self, table: Table) -> None:
        """Set those comments that are not the declared ones; only an owner may."""
        name = self._name_of(table)
        wanted: dict[str | None, str] = {None: table.description}
        wanted |= table.comments
        found = dict(
            self._rows(
                "SELECT attname, description FROM pg_description LEFT JOIN pg_attribute "
                "ON attrelid = objoid AND attnum = objsubid AND objsubid > 0 "
                "WHERE classoid = 'pg_class'::regclass AND objoid = %s::regclass",
                [name],
            )
        )
        for column, comment in wanted.items():
            if found.get(column) != comment:
                what = f"TABLE {name}" if column is None else f"COLUMN {name}.{column}"
                self._execute(f"COMMENT ON {what} IS %s", [comment])

    def recorded_days(self, table: Table, fleet: str, days: Days) -> Mapping[date, Recorded]:
        """What the log says of these days."""
        with self._transaction("nothing was changed"):
            rows = self._rows(
                f"SELECT day, version, num_rows FROM {self._name_of(EXPORT_LOG)} "
                "WHERE table_name = %s AND fleet = %s AND day BETWEEN %s AND %s",
                [table.name, fleet, days.first, days.last],
            )
        return {day: Recorded(version, num_rows) for day, version, num_rows in rows}

    def recorded_table(self, table: Table) -> Recorded | None:
        """What the log says of a small table."""
        with self._transaction("nothing was changed"):
            rows = self._rows(
                f"SELECT version, num_rows FROM {self._name_of(EXPORT_LOG)} WHERE table_name = %s AND fleet IS NULL",
                [table.name],
            )
        return Recorded(*rows[0]) if rows else None

    def write(self, changes: "Sequence[Change]") -> None:
        """Delete, copy and record, in one transaction: a reader sees what was there, or all of the new rows."""
        with self._transaction("these days are as they were, earlier ones are written"):
            for change in changes:
                self._delete(change)
                self._copy(change)
                self._record(change)

    def _delete(self, change: "Change") -> None:
        table = change.table
        sql, values = f"DELETE FROM {self._name_of(table)}", []
        if change.fleet is not None:
            days = change.days
            sql += f" WHERE fleet = %s AND {table.month} BETWEEN %s AND %s AND {table.day} = ANY(%s)"
            values = [change.fleet, month_of(days[0]), days[-1], days]
        self._execute(sql, values)

    def _copy(self, change: "Change") -> None:
        listed = ", ".join(change.table.column_names)
        sql = f"COPY {self._name_of(change.table)} ({listed}) FROM STDIN WITH (FORMAT csv)"
        with self._connection.cursor() as cursor:
            cursor.copy_expert(
                sql, io.BufferedReader(_CopiedRows(change.batches(_SPELLED)), _BLOCK_BYTES), _BLOCK_BYTES
            )

    def _record(self, change: "Change") -> None:
        self._forget(change.table, change.fleet, change.days)
        now = datetime.now(UTC).replace(tzinfo=None)
        for day, recorded in change.versions.items():
            self._execute(
                f"INSERT INTO {self._name_of(EXPORT_LOG)} VALUES (%s, %s, %s, %s, %s, %s)",
                [change.table.name, change.fleet, day, recorded.version, recorded.num_rows, now],
            )

    def forget(self, table: Table, fleet: str | None, days: Sequence[date]) -> None:
        """Remove these days, or the small table, from the log."""
        with self._transaction("the log is as it was"):
            self._forget(table, fleet, days)

    def _forget(self, table: Table, fleet: str | None, days: Sequence[date]) -> None:
        sql = f"DELETE FROM {self._name_of(EXPORT_LOG)} WHERE table_name = %s"
        if fleet is None:
            self._execute(f"{sql} AND fleet IS NULL", [table.name])
        else:
            self._execute(f"{sql} AND fleet = %s AND day = ANY(%s)", [table.name, fleet, list(days)])

    def sums_by_day(self, table: Table, fleet: str, days: Days) -> SumsByDay:
        """Count and add up what is there of these days."""
        with self._transaction("the rows are written, and not all of them compared"):
            rows = self._rows(
                f"SELECT {table.day}, {select_sums(table, Dialect.POSTGRES)} FROM {self._name_of(table)} "
                f"WHERE fleet = %s AND {table.month} BETWEEN %s AND %s AND {table.day} BETWEEN %s AND %s "
                f"GROUP BY {table.day}",
                [fleet, month_of(days.first), days.last, days.first, days.last],
            )
        return {day: read_sums(table, values) for day, *values in rows}

    def sums_of(self, table: Table) -> SumsByDay:
        """Count and add up a small table."""
        with self._transaction("the rows are written, and not all of them compared"):
            (row,) = self._rows(f"SELECT {select_sums(table, Dialect.POSTGRES)} FROM {self._name_of(table)}")
        return {None: read_sums(table, row)}

    def _name_of(self, table: Table) -> str:
        return f"{quoted(self._schema)}.{table.name}"

    @contextmanager
    def _transaction(self, afterwards: str) -> Iterator[None]:
        """A transaction; what is there after an error is told."""
        advice = f"{_begun(afterwards)}; run again"
        with _explained(self._address, f"{self.name} could not be written or read", advice), self._connection:
            yield

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, list(values) or None)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, list(values) or None)
            return cursor.fetchall()


class _CopiedRows(io.RawIOBase):
    """A file for `COPY`: batches as CSV, made as they are read. NULL is nothing, and an empty text is two quotes."""

    def __init__(self, batches: "pa.RecordBatchReader") -> None:
        self._batches = iter(batches)
        self._text = memoryview(b"")

    def readable(self) -> bool:
        """True, as `io` wants to know."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        """The next bytes, at most as many as fit; 0 at the end."""
        while not self._text:
            batch = next(self._batches, None)
            if batch is None:
                return 0
            self._text = memoryview(_as_csv(batch))
        target = memoryview(buffer)
        found, self._text = self._text[: len(target)], self._text[len(target) :]
        target[: len(found)] = found
        return len(found)


def _as_csv(batch: "pa.RecordBatch") -> bytes:
    from pyarrow import csv

    text = io.BytesIO()
    csv.write_csv(batch, text, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return text.getvalue()


@contextmanager
def _explained(address: PostgresAddress, what: str, advice: str) -> Iterator[None]:
    """Turn an error of PostgreSQL into ours, without a password."""
    import psycopg2

    try:
        yield
    except psycopg2.Error as error:
        # The chain of causes is cut: libpq's text may repeat the URL.
        raise ExportError(without_secrets(f"{what}: {_first_lines(error)}. {advice}", address.secrets)) from None


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if not line.startswith(("LINE ", " "))]
    return "; ".join(filter(None, lines)).rstrip(".")


def _begun(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _listed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
