"""Group `delivery`: the monthly report as PDF, by mail and to chats. The assets are in `assets/delivery`.

Here is when automation sends: news alone, and only where the settings say to whom.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import dagster as dg

from taxi_pipeline.defs.automation import inputs_updated
from taxi_pipeline.settings import Settings
from taxi_pipeline.tlc.publication_delay import LONGEST_MONTH, SURE_DELAY

GROUP = "delivery"

NEWS = SURE_DELAY
"""A month is news until so long after its end: the TLC has published it by then. Older ones are sent when asked for."""

report_updated = inputs_updated.with_label("report_updated")
"""True when the month's report was made since the asset was last made."""

_recent = dg.AutomationCondition.in_latest_time_window(lookback_delta=NEWS + LONGEST_MONTH + timedelta(days=1))
recent_report_updated = (inputs_updated & _recent).with_label("recent_report_updated")
"""True when the report of one of the last months was made since it was last sent. The asset itself decides what is
news; this spares a run for each month of a backfill."""

_SENT_TO = {"monthly_report_mail": "mail_to", "monthly_report_message": "chat_urls"}
"""Asset → the setting that says to whom it is sent."""


def without_automation_where_nobody_is_told(settings: Settings, assets: Iterable[Any]) -> list[Any]:
    """Take the automation from what is sent to nobody: its runs would only fail."""

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        setting = _SENT_TO.get(spec.key.to_user_string())
        if setting and not getattr(settings, setting):
            return spec.replace_attributes(automation_condition=None)
        return spec

    return list(dg.map_asset_specs(shown, assets))
