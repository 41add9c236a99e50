"""Write, audit, publish: what a session has written becomes everyone's, all of it or nothing.

Iceberg commits one table at a time. So a session stages each part that it replaces: a snapshot that no reader sees.
When it ends, its parts are audited, and then decided on: one commit of `publications`, which Iceberg refuses when
another session has decided on the same month since this one began. From then on the parts are published one by one,
which changes metadata only, and `loaded_days` last. A process that is killed in between leaves the decision: the next
session of anyone, also one that only reads, publishes the rest. To publish a part twice changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from taxi_pipeline.errors import LoadError
from taxi_pipeline.warehouse.interface import ConflictError
from taxi_pipeline.warehouse.spark.dialect import schema
from taxi_pipeline.warehouse.spark.layout import PUBLICATIONS, TABLES_BY_MONTH, WHOLE_TABLES, Part, call_sql
from taxi_pipeline.warehouse.spark.session import IcebergSession
from taxi_pipeline.warehouse.spark.state import (
    Decisions,
    Snapshot,
    Staged,
    Versions,
    collect,
    current_versions,
    in_order,
    newest_snapshot,
    quoted,
    read_decisions,
    see_commits_of_others,
    unpublished_loads,
    unseen_snapshots,
)
from taxi_pipeline.warehouse.tables import LOADED_DAYS, REJECTED_TRIPS, TRIPS, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrameWriterV2
    from pyspark.sql.connect.session import SparkSession

_ATTEMPTS = 20
"""Times that a commit is tried again after others' commits; Iceberg tries as often by itself."""
_WAS_PUBLISHED = ("DuplicateWAPCommitException", "CherrypickAncestorCommitException")
"""What Iceberg raises where a part is published; the second where another process publishes at the same time."""
_SCOPES = "scopes"
"""Property of a snapshot of `publications`: the scopes that were decided on, separated by semicolons."""


class AuditError(LoadError):
    """What a session has written does not add up; nothing of it was published."""


def settled_versions(
    spark: "SparkSession", namespace: str, known: Versions | None = None, published: Collection[str] = ()
) -> Versions:
    """The versions of all tables, of a moment at which nothing that was decided is unpublished.

    Args:
        spark: the connection.
        namespace: catalogue and namespace of the tables.
        known: earlier versions, which are returned when nothing was decided since.
        published: loads that are known to be published.
    """
    while known is None or newest_snapshot(spark, f"{namespace}.{PUBLICATIONS.name}") != known.decisions.snapshot:
        decisions = read_decisions(spark, namespace)
        if not decisions.loads.keys() <= set(published):
            roll_forward(spark, namespace, decisions)
        known = Versions(current_versions(spark, namespace, *TABLES_BY_MONTH), decisions)
    return known


def roll_forward(spark: "SparkSession", namespace: str, decisions: Decisions) -> None:
    """Publish what was decided and is not published yet."""
    for load in unpublished_loads(spark, namespace, decisions):
        for part in decisions.loads[load]:
            see_commits_of_others(spark, f"{namespace}.{part.table.name}")
        _publish_parts(spark, namespace, load, decisions.loads[load])


def publish(session: IcebergSession) -> None:
    """Audit what a session has staged, decide on it, and publish it.

    When the cluster fails after the decision, the next session publishes the rest.

    Raises:
        AuditError: what was staged does not add up; nothing was changed.
        ConflictError: another session has changed the same months since this one began; nothing was changed.
    """
    from pyspark.errors import PySparkException

    unseen = _unseen_of(session)
    own = {each.wap_id: each for found in unseen.values() for each in found if _is_of(session, each)}
    staged = {part: own.get(wap_id) for part, wap_id in session.staged.items()}
    parts = in_order({part: Staged(session.staged[part], each and each.id) for part, each in staged.items()})
    try:
        _audit(session, {part: each.num_rows if each else 0 for part, each in staged.items()})
        _decide(session, parts)
    except LoadError:
        roll_back(session)
        raise
    _publish_parts(session.spark, session.namespace, session.load or "", parts)
    published = {staged.snapshot for staged in parts.values()}
    for table, found in unseen.items():
        # What others have staged of these months can't be decided on any more; of a small table it can.
        stale = {each.id for each in found if table not in WHOLE_TABLES or _is_of(session, each)}
        with suppress(PySparkException):  # all is published, and the next session of the months deletes them
            _expire(session, table, stale - published)


def roll_back(session: IcebergSession) -> None:
    """Delete what a session has staged, of which nothing was decided."""
    for table, found in _unseen_of(session).items():
        _expire(session, table, [each.id for each in found if _is_of(session, each)])


def _unseen_of(session: IcebergSession) -> dict[Table, list[Snapshot]]:
    """What was staged of the parts that a session replaces: by it, by killed ones, and by others that are at work.

    What others have published since the session began is of other months, or a small table, or the session is refused.
    """
    seen = {part.table: session.versions.snapshots.get(part.table.name) for part in session.staged}
    found = unseen_snapshots(session.spark, session.namespace, seen)
    return {
        table: [each for each in staged if Part(table, each.scope or "") in session.staged]
        for table, staged in found.items()
    }


def _is_of(session: IcebergSession, staged: Snapshot) -> bool:
    return (staged.wap_id or "").startswith(f"{session.load}-")


def _audit(session: IcebergSession, num_rows: Mapping[Part, int]) -> None:
    """Compare what Iceberg counts in the staged files of each month with what `loaded_days` says of its days.

    Args:
        session: that has staged them.
        num_rows: part → its rows, as Iceberg counts them.

    Raises:
        AuditError: they differ.
        ConflictError: another session has decided on one of the months since this one began.
    """
    for days, recorded in session.recorded.items():
        if not num_rows[days]:  # whoever decides on a month deletes what others have staged of it
            raise _conflict({days.scope})
        of_column = dict(zip(LOADED_DAYS.column_names, zip(*recorded, strict=True), strict=True))
        for table, expects in (
            (LOADED_DAYS, len(recorded)),
            (TRIPS, sum(of_column["num_trips"])),
            (REJECTED_TRIPS, sum(of_column["num_rejected"])),
        ):
            found = num_rows.get(Part(table, days.scope), expects)
            if found != expects:
                raise AuditError(
                    f"{table.name} of {days.scope} does not add up: {found:,} rows were written, and loaded_days says "
                    f"{expects:,}. Nothing was published: run it again, and report it if it happens twice"
                )


def _decide(session: IcebergSession, parts: Mapping[Part, Staged]) -> None:
    """Write the decision to publish the parts: one commit, after which the session can't be undone.

    Small tables are no reason for a conflict: the session that decides last is right.

    Raises:
        ConflictError: another session has decided on the same months since this one began.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.functions import expr

    rows = [
        (part.scope, session.load, part.table.name, staged.wap_id, staged.snapshot) for part, staged in parts.items()
    ]
    frame = session.spark.createDataFrame(rows, schema(PUBLICATIONS.column_types))
    scopes = {part.scope for part in parts}
    name = f"{session.namespace}.{PUBLICATIONS.name}"
    decisions = session.versions.decisions
    for attempt in range(1, _ATTEMPTS + 1):
        # Rows of loads that are published go, so that the table stays small.
        replaced = f"scope IN ({quoted(['', *sorted(scopes)])}) OR load IN ({quoted(['', *decisions.loads])})"
        writer = frame.coalesce(1).writeTo(name).option("distribution-mode", "none")
        writer.option(f"snapshot-property.{_SCOPES}", ";".join(sorted(scopes)))
        try:
            _validated(writer, decisions.snapshot).overwrite(expr(replaced))
            return
        except PySparkException as error:
            if not _is_conflict(error) or attempt == _ATTEMPTS:
                raise
            decisions = settled_versions(session.spark, session.namespace).decisions
            if taken := _decided_since(session) & {part.scope for part in parts if part.of_days}:
                raise _conflict(taken) from error


def _conflict(scopes: Iterable[str]) -> ConflictError:
    return ConflictError(
        f"another run has changed {', '.join(sorted(scopes))} since this one began to load them. This one changed "
        "nothing: run it again"
    )


def _validated(writer: "DataFrameWriterV2", snapshot: int | None) -> "DataFrameWriterV2":
    """Make Iceberg refuse the writer's commit when rows that it replaces were changed after a snapshot."""
    writer.option("isolation-level", "serializable")
    if snapshot is not None:
        writer.option("validate-from-snapshot-id", str(snapshot))
    return writer


def _is_conflict(error: Exception) -> bool:
    return "Found conflicting" in str(error)


def _decided_since(session: IcebergSession) -> set[str]:
    """The scopes that were decided on after the session's own version of the decisions."""
    name = f"{session.namespace}.{PUBLICATIONS.name}"
    see_commits_of_others(session.spark, name)
    found = collect(session.ask(f"SELECT snapshot_id, parent_id, summary['{_SCOPES}'] FROM {name}.snapshots"))
    parents = {parent: (snapshot, scopes) for snapshot, parent, scopes in found}
    decided: set[str] = set()
    newest = session.versions.decisions.snapshot
    while newest in parents:
        newest, scopes = parents[newest]
        decided |= set((scopes or "").split(";"))
    return decided


def _publish_parts(spark: "SparkSession", namespace: str, load: str, parts: Mapping[Part, Staged]) -> None:
    *_, last = parts
    for part, staged in parts.items():
        _publish_part(spark, namespace, load, part, staged, is_last=part == last)


def _publish_part(
    spark: "SparkSession", namespace: str, load: str, part: Part, staged: Staged, *, is_last: bool
) -> None:
    """Make a staged part current, unless it was published before."""
    from pyspark.errors import PySparkException

    if staged.snapshot is not None:
        try:
            spark.sql(call_sql("publish_changes", namespace, part.table, f"wap_id => '{staged.wap_id}'"))
            return
        except PySparkException as error:
            if any(name in str(error) for name in _WAS_PUBLISHED):
                return
            if "Cannot cherry-pick" not in str(error):
                raise
    elif not is_last and not _has_rows(spark, namespace, part):
        return  # by the last part others see that a load is published, so it leaves a snapshot in any case
    _write_part(spark, namespace, load, part, staged)


def _has_rows(spark: "SparkSession", namespace: str, part: Part) -> bool:
    """Whether a table has rows of a part."""
    name = f"{namespace}.{part.table.name}"
    return newest_snapshot(spark, name) is not None and bool(
        collect(spark.sql(f"SELECT 1 FROM {name} WHERE {part.sql} LIMIT 1"))
    )


def _write_part(spark: "SparkSession", namespace: str, load: str, part: Part, staged: Staged) -> None:
    """Publish a part that Iceberg can't cherry-pick: it has no rows, or maintenance has rewritten the old files.

    Of this table nothing else can have changed since the snapshot that is read first, or the load is no longer the one
    that was decided on last: then it was published, and what came after it is left alone.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.functions import expr

    name = f"{namespace}.{part.table.name}"
    for attempt in range(1, _ATTEMPTS + 1):
        newest = newest_snapshot(spark, name)
        if part not in read_decisions(spark, namespace).loads.get(load, {}):
            return
        version = "" if staged.snapshot is None else f" VERSION AS OF {staged.snapshot}"
        rows = spark.sql(f"SELECT * FROM {name}{version} WHERE {part.sql if version else 'FALSE'}")
        writer = rows.writeTo(name).option("snapshot-property.published-wap-id", staged.wap_id)
        try:
            _validated(writer, newest).overwrite(expr(part.sql))
            return
        except PySparkException as error:
            if not _is_conflict(error) or attempt == _ATTEMPTS:
                raise


def _expire(session: IcebergSession, table: Table, snapshots: Iterable[int]) -> None:
    """Delete staged snapshots and their files."""
    if listed := ", ".join(map(str, sorted(snapshots))):
        arguments = f"older_than => TIMESTAMP_LTZ '1970-01-01 00:00:00', snapshot_ids => ARRAY({listed})"
        session.ask(call_sql("expire_snapshots", session.namespace, table, arguments))
