"""The TLC's aggregated report: trips per day by month and licence class, as the TLC counted them.

Described at https://www.nyc.gov/site/tlc/about/aggregated-reports.page. A check compares the loaded trips
with it.
"""

import csv
from datetime import date
from pathlib import Path

from taxi_pipeline.tlc.download import TLC_SERVER
from taxi_pipeline.tlc.trip_files import UnusableFileError, describe_content

PUBLISHED_AT = "https://www.nyc.gov/assets/tlc/downloads/csv/data_reports_monthly.csv"
"""URL of the report on the TLC's web site; its server of trip records does not have the report."""

FLEET_OF_LICENSE_CLASS = {"Yellow": "yellow", "Green": "green", "FHV - High Volume": "fhvhv"}
"""The fleets that the report counts as the files do. Of the other for-hire vehicles it has three classes, and which
trips of theirs the files hold changed with the years."""


def report_url(tlc_url: str) -> str:
    """The URL of the report: on a mirror beside the zones, else on the TLC's web site."""
    return PUBLISHED_AT if tlc_url == TLC_SERVER else f"{tlc_url}/misc/data_reports_monthly.csv"


def read_trips_per_day(path: Path) -> dict[tuple[str, date], int]:
    """Read the report.

    Args:
        path: a local copy of the CSV.

    Returns:
        (Fleet, first day of the month) → trips per day, on average over the month.

    Raises:
        UnusableFileError: the file is not the report.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            header, *rows = csv.reader(file)
            columns = [name.strip() for name in header]
            month, license_class, trips = (
                columns.index(name) for name in ("Month/Year", "License Class", "Trips Per Day")
            )
            return {
                (FLEET_OF_LICENSE_CLASS[row[license_class]], date.fromisoformat(f"{row[month]}-01")): int(
                    row[trips].replace(",", "")
                )
                for row in rows
                if row[license_class] in FLEET_OF_LICENSE_CLASS and any(map(str.isdigit, row[trips]))
            }
        except (ValueError, IndexError, csv.Error) as error:
            raise UnusableFileError(
                f"it is not the TLC's monthly report ({error}) but {describe_content(path)}"
            ) from error
