"""Group `analysis`: questions of cause and of kind. Its assets are in `assets/`; here is when automation makes them."""

from taxi_pipeline.defs.automation import inputs_updated

GROUP = "analysis"

trips_or_weather_updated = inputs_updated.with_label("trips_or_weather_updated")
"""True when trips or weather were loaded since the asset was last made, and nothing of it is being loaded.

Nothing has to be there: what is missing is said in the output. Days far from the fee make it again, too, with the same
bytes: to ask which days changed would cost each look of the automation more than that.
"""

mart_updated = inputs_updated.with_label("mart_updated")
"""True when a month of the mart was made since the asset was, and none is being made."""
