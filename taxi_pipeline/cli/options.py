"""Options that several commands have, and the settings they read."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from taxi_pipeline.settings import Settings, project_root
from taxi_pipeline.tlc.months import Days

if TYPE_CHECKING:
    from taxi_pipeline.storage import Storage
    from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
    from taxi_pipeline.warehouse.spark import SparkWarehouse


def day_range(command: Any) -> Any:
    """The options --start and --end, both inclusive."""
    day = click.DateTime(formats=["%Y-%m-%d"])
    command = click.option("--end", type=day, required=True, help="Last day, inclusive.")(command)
    return click.option("--start", type=day, required=True, help="First day.")(command)


def days_between(start: datetime, end: datetime) -> Days:
    """The days of --start and --end.

    Raises:
        click.BadParameter: the end is before the start.
    """
    if end < start:
        raise click.BadParameter(f"{end:%Y-%m-%d} is before {start:%Y-%m-%d}", param_hint="--end")
    return Days(start.date(), end.date())


def read_settings() -> Settings:
    """The settings, from the environment and from `.env`.

    Raises:
        SettingsError: a variable holds a value that can't be used.
    """
    from dotenv import load_dotenv

    # Unlike with Dagster's own commands, an exported variable wins over .env.
    load_dotenv(project_root() / ".env", override=False)
    return Settings.from_environment()


def open_files(settings: Settings) -> "Storage":
    """The storage of the settings.

    Raises:
        StorageError: the libraries for object stores are not installed.
    """
    from taxi_pipeline.storage import open_storage

    return open_storage(settings.storage_url, scratch=settings.scratch_dir)


def open_warehouse(settings: Settings) -> "DuckDBWarehouse | SparkWarehouse":
    """The warehouse of the settings. Nothing is opened yet.

    Raises:
        WarehouseUnavailableError: the libraries for Spark are not installed.
    """
    from taxi_pipeline.warehouse.duckdb import DuckDBWarehouse
    from taxi_pipeline.warehouse.spark import SparkWarehouse

    if settings.engine == "duckdb":
        return DuckDBWarehouse(settings.duckdb_database)
    return SparkWarehouse(
        remote=settings.spark_remote,
        catalog_url=settings.catalog_url,
        storage_url=settings.storage_url,
        s3_endpoint=settings.s3_endpoint,
        namespace=settings.catalog_namespace,
    )
