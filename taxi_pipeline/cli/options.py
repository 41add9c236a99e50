"""Options that several commands have, and the settings they read."""

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from taxi_pipeline.project.files import ProjectError
from taxi_pipeline.settings import Settings, find_project
from taxi_pipeline.tlc.fleets import FLEETS, Fleet
from taxi_pipeline.tlc.months import Days

_DAY = "%Y-%m-%d"


class FleetMonth(click.ParamType):
    """A fleet's month as settings write it, `green/2023-01`."""

    name = "fleet/yyyy-mm"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Fleet, date]:
        """The fleet, and the first day of the month."""
        fleet, _, month = str(value).partition("/")
        try:
            return FLEETS[fleet], date.fromisoformat(f"{month}-01")
        except (KeyError, ValueError):
            self.fail(f"{str(value)[:40]!r} is no fleet's month such as green/2023-01", param, ctx)


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
    """The settings, from the environment and from the `.env` of the project.

    Raises:
        ProjectError: there is no project, and nothing else says where the data lies.
        SettingsError: a variable holds a value that can't be used.
    """
    from dotenv import load_dotenv

    project = find_project()
    if project:
        # Unlike with Dagster's own commands, an exported variable wins over .env.
        load_dotenv(project / ".env", override=False)
    elif not os.environ.get("TAXI_DATA_DIR"):
        raise ProjectError(no_project("TAXI_DATA_DIR"))
    return Settings.from_environment()


def no_project(variable: str) -> str:
    """What is said where there is no project, so that nothing is written into a folder that happens to be current."""
    return (
        f"{Path.cwd()} is in no project: neither it nor a folder above it has a dagster.yaml. Make one with "
        f"`taxi-pipeline init FOLDER` and go there, or set {variable}"
    )
