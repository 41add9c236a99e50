"""Declarative automation: the condition of assets with a file per week or month, and the sensor that evaluates it.

The freshness policy, which limits the age of an asset, is here as well. What runs by the clock is in `schedules`.
"""

from datetime import timedelta

import dagster as dg

_optional = dg.AssetSelection.assets("tlc_indicators")
# A month is made without the TLC's own figures, too, and a new edition of them is no reason to make all months again.
_deps_missing = dg.AutomationCondition.any_deps_missing().ignore(_optional)
# Complete first: Dagster finds the days of all partitions at once, and of some of them key by key.
_missing_and_complete = ~_deps_missing & dg.AutomationCondition.missing()
_reference = dg.AssetSelection.assets("taxi_zones", "code_tables")
_days_loaded_again = dg.AutomationCondition.any_deps_updated().ignore(_reference | _optional)
# Zones and codes are written often and hardly ever change: an update alone is no reason to make years of weeks again.
_version_changed = dg.AutomationCondition.data_version_changed()
_reference_changed = dg.AutomationCondition.any_deps_match(_version_changed).allow(_reference)
HANDLED = dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
"""What a change waits for until it counts no more: the asset was asked for, or made."""

_changed = _missing_and_complete.newly_true() | _days_loaded_again | _reference_changed
# Any of `_changed` that can come in the same tick as the materialization. What is newly complete has a day that was
# loaded, so only what is newly missing is asked for; to evaluate `_changed` twice doubles the time of a look.
_changed_now = dg.AutomationCondition.missing().newly_true() | _days_loaded_again | _reference_changed

window_complete = (
    # `since` alone drops a change that arrives in the same tick as the materialization.
    (_changed.since(HANDLED) | _changed_now)
    & ~_deps_missing
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("window_complete")
"""True when all days of the partition's window are loaded, and one was loaded (again) since the partition was last
made.

Unlike Dagster's own `eager`, `on_cron` and `on_missing` it looks at all windows, not only at the newest (trips arrive
months late), and also at those that were complete before it was switched on. A run that fails is not repeated until a
day is loaded again.
"""

inputs_updated = (
    dg.AutomationCondition.any_deps_updated().since(HANDLED)
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)
"""True when anything that the asset is made of was made since the asset itself was, and nothing of it is being made."""


MADE_MONTHLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=62), warn_window=timedelta(days=45))
"""Limit on an asset's age: every published month makes all assets anew, or a partition of them, about every 30 days."""

PUBLICATION = "publication"
"""Value of the tag `output` of what others publish: it is observed, not made, and has no policy."""

MESSAGE = "message"
"""Value of the tag `output` of what is sent: when there is something to say, so it has no policy either."""

NOT_MADE_REGULARLY = ("tlc", "requests")
"""Groups without a policy: the TLC's publications are only observed, and a chart is made when someone asks for it."""


def build_automation_sensor(*, running: bool) -> dg.AutomationConditionSensorDefinition:
    """Build the sensor that launches runs when the assets' conditions are true.

    Args:
        running: true if it is on from the start; otherwise it is switched on in the UI.
    """
    made = dg.AssetSelection.groups("reports", "datasets", "marts", "sources", "weather", "analysis", "delivery")
    return dg.AutomationConditionSensorDefinition(
        "automation",
        # With what others publish, which is observed: without it Dagster adds a sensor of its own for that.
        target=made | made.upstream_source_assets(),
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Makes the reports, datasets and marts whose week or month is complete, asks the sources every "
        "morning, makes what is made of trips and sources, and sends new reports to those whom the settings name.",
    )
