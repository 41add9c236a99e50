"""The same assets as a default Dagster project runs them: a process for each step, a run for each day."""

import dagster as dg

from taxi_pipeline.defs.assets import ASSETS
from taxi_pipeline.defs.partitions import between
from taxi_pipeline.defs.resources import build_resources
from taxi_pipeline.settings import Settings

_settings = Settings.from_environment()

defs = dg.Definitions(
    assets=between(_settings.start_date, None, _settings.fleets, ASSETS),
    resources={**build_resources(_settings)},
    executor=dg.multiprocess_executor,
)
