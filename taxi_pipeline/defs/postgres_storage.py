"""Dagster's history of runs, events and schedules in Postgres, for a server that several people use.

`deploy/dagster.yaml` names these classes; the extra `postgres` installs what they need. They are Dagster's own, with
what `event_storage` adds to the classes for SQLite, connections that are kept between two events, and `postgresql://`
as the beginning of a URL, which SQLAlchemy 2.1 would take for another driver.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config, retry_pg_connection_fn

from taxi_pipeline.defs.dagster_internals import ConfigurableClassData
from taxi_pipeline.defs.event_storage import DistinctMilliseconds, PartitionsByTags, SettledRuns, or_dagsters_own

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

IDLE_SECONDS = 300
"""Seconds that an idle connection is kept; servers and proxies close what is idle for longer."""


def driver_url(config_value: Mapping[str, Any]) -> str:
    """The configured URL, with the driver that is installed."""
    scheme, separator, rest = pg_url_from_config(config_value).partition("://")
    return f"{'postgresql+psycopg2' if scheme in ('postgres', 'postgresql') else scheme}{separator}{rest}"


def _arguments(inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "postgres_url": driver_url(config_value),
        "should_autocreate_tables": config_value.get("should_autocreate_tables", True),
        "inst_data": inst_data,
    }


class PostgresEvents(DistinctMilliseconds, SettledRuns, PostgresEventLogStorage):
    """Stores events over connections that are kept; Dagster's own class opens one for each event.

    Measured with Dagster 1.13.27: without it a month of the graph takes a third longer (20.9 and 29.1 s on a busy
    machine). Look at it again with a new minor version.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._engine: Engine = create_pg_engine(
            self.postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=2,
            max_overflow=-1,
            pool_recycle=IDLE_SECONDS,
            pool_pre_ping=True,
        )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PostgresEventLogStorage:
        """This storage; Dagster's own when this one does not work with it."""
        arguments = _arguments(inst_data, config_value)

        def ours() -> PostgresEventLogStorage:
            storage = cls(**arguments)
            retry_pg_connection_fn(lambda: storage.has_table("event_logs"))
            return storage

        return or_dagsters_own(ours, lambda: PostgresEventLogStorage(**arguments), __name__)


class PostgresRuns(PartitionsByTags, PostgresRunStorage):
    """Stores runs, where only the tags of a run name its partitions."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PostgresRunStorage:
        """This storage; Dagster's own when this one does not work with it."""
        arguments = _arguments(inst_data, config_value)
        return or_dagsters_own(lambda: cls(**arguments), lambda: PostgresRunStorage(**arguments), __name__)


class PostgresSchedules(PostgresScheduleStorage):
    """Stores schedules and sensors."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PostgresScheduleStorage:
        """Dagster's own, at the URL with its driver."""
        return cls(**_arguments(inst_data, config_value))
