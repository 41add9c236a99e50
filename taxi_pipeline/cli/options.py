"""Options that several commands have, and the settings they read."""

from datetime import datetime
from typing import Any

import click

from taxi_pipeline.settings import Settings, project_root
from taxi_pipeline.tlc.months import Days

_DAY = "%Y-%m-%d"


def loaded_day_range(command: Any) -> Any:
    """The options --start and --end, both inclusive; without them all days that are loaded."""
    day = click.DateTime(formats=[_DAY])
    command = click.option("--end", type=day, help="Last day, inclusive.  [default: the last that is loaded]")(command)
    return click.option("--start", type=day, help="First day.  [default: the first that is loaded]")(command)


def day_range(command: Any) -> Any:
    """The options --start and --end, both inclusive."""
    day = click.DateTime(formats=[_DAY])
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
