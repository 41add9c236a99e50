"""Which days a check looks at: those of its run, or all that are loaded when it runs by itself."""

import dagster as dg

from taxi_pipeline.loaded import loaded_span
from taxi_pipeline.partitions import days_of_run
from taxi_pipeline.session import Session
from taxi_pipeline.tlc.months import Days


def days_of_check(context: dg.AssetCheckExecutionContext, session: Session) -> Days | None:
    """The days of the check's run; all loaded ones when it has none; None when nothing is loaded."""
    return days_of_run(context) or loaded_span(session)
