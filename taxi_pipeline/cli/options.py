"""Options that several commands have, and the settings they read."""

from datetime import datetime
from typing import Any

import click

from taxi_pipeline.settings import Settings, project_root
from taxi_pipeline.tlc.months import Days


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
