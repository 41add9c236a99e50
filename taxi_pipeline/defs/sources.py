"""The assets of a source: its publication, which is observed, its file in `raw/`, and the table made of it.

A source (`sources.source`) declares what is published and how it is read; here is how Dagster fetches it, when, and
what the UI shows of it. A source that is down, or that sends something else, fails its own assets and no others.
"""

from datetime import timedelta
from typing import Any

import dagster as dg

from taxi_pipeline.defs.assets.raw_files import log_fetched
from taxi_pipeline.defs.automation import HANDLED, PUBLICATION, inputs_updated
from taxi_pipeline.defs.costs import Cost
from taxi_pipeline.defs.metadata import (
    PREVIEW_ROWS,
    column_lineage,
    fetched_metadata,
    table,
    table_facts,
    table_metadata,
)
from taxi_pipeline.defs.resources import POOL, FilesParam, SourcesParam, WarehouseParam
from taxi_pipeline.defs.retries import RETRIES, StepFailure, is_worth_a_retry
from taxi_pipeline.defs.table_checks import all_readable
from taxi_pipeline.required_files import require_file
from taxi_pipeline.sources.source import Source, SourceServers, replace_contents
from taxi_pipeline.sources.weather import WEATHER_SOURCE
from taxi_pipeline.tlc.download import FetchedFile
from taxi_pipeline.tlc.http_transfer import FetchError
from taxi_pipeline.tlc.months import NEW_YORK

GROUP = "sources"

OBSERVED_AT, FETCHED_AT = "30 4 * * *", "0 5 * * *"
"""Every morning, New York."""

FETCHED_WEEKLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=8))
"""Limit on the age of a source's file: with automation, one that is older is asked for, also without an observation."""

_version_changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
# Each morning as well: a server that could not deliver a new version once has the same version at the next observation,
# and some name no versions at all. The request is conditional.
_file_wanted = (
    _version_changed
    | dg.AutomationCondition.cron_tick_passed(FETCHED_AT, NEW_YORK)
    | dg.AutomationCondition.missing().newly_true()
    | dg.AutomationCondition.freshness_failed().newly_true()
).since(HANDLED)
_file_condition = (_file_wanted & ~dg.AutomationCondition.in_progress()).with_label("changed_or_overdue")
_table_condition = (
    (_version_changed | dg.AutomationCondition.missing().newly_true()).since(HANDLED)
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("file_changed")

monthly_or_missing = (
    (dg.AutomationCondition.missing().newly_true() | dg.AutomationCondition.cron_tick_passed("0 5 1 * *", NEW_YORK))
    .since(HANDLED)
    .with_label("monthly_or_missing")
)
"""True once a month, and when the asset was never made: for facts that a new version of the package may change."""

weather_or_trips_updated = (
    inputs_updated
    & ~dg.AutomationCondition.any_deps_missing().allow(dg.AssetSelection.assets(WEATHER_SOURCE.table.name))
).with_label("weather_or_trips_updated")
"""True when weather or trips were loaded since the asset was last made, and there is weather."""


def build_source(source: Source, *, retries: dg.RetryPolicy = RETRIES) -> list[dg.AssetsDefinition]:
    """Build the assets of a source.

    Args:
        source: what is published, and how it is read.
        retries: how often a server that does not answer is asked again.

    Returns:
        `{name}_publication`, observed every morning; `{name}_file`; and the asset of the table, with a check that all
        of the file can be read.
    """
    publication, file = f"{source.name}_publication", f"{source.name}_file"
    readable = f"{source.name}_is_readable"

    @dg.multi_observable_source_asset(
        name=publication,
        specs=[
            dg.AssetSpec(
                publication,
                group_name=GROUP,
                description=source.description,
                kinds={"csv"},
                tags={"output": PUBLICATION},
                automation_condition=dg.AutomationCondition.on_cron(OBSERVED_AT, NEW_YORK),
            )
        ],
    )
    def observed(sources: SourcesParam) -> dg.ObserveResult:
        return dg.ObserveResult(asset_key=publication, **_observed(sources, source))

    @dg.asset(
        name=file,
        group_name=GROUP,
        deps=[publication],
        description=(
            f"The file of {source.name} as published: raw/{source.file}, with .gz at its end where it is compressed. "
            "Whatever can't be read, or has lost more rows than it should, never takes the place of the copy at hand."
        ),
        kinds={"python"},
        tags={"output": "raw-file"},
        retry_policy=retries,
        automation_condition=_file_condition,
        freshness_policy=FETCHED_WEEKLY,
    )
    def fetched(context: dg.AssetExecutionContext, sources: SourcesParam, files: FilesParam) -> dg.MaterializeResult:
        spent = Cost()
        found = _fetch(context, sources, source, files)
        downloaded = found.size_bytes if found.downloaded else 0
        return dg.MaterializeResult(
            metadata={**fetched_metadata([found]), **spent.so_far(bytes_written=downloaded)},
            data_version=dg.DataVersion(found.sha256),
        )

    @dg.asset(
        name=source.table.name,
        group_name=GROUP,
        deps=[file],
        description=f"Table {source.table.name}. {source.table.description}",
        pool=POOL,
        kinds={"duckdb"},
        tags={"output": "table"},
        metadata=table_metadata(source.table),
        automation_condition=_table_condition,
        check_specs=[
            dg.AssetCheckSpec(
                readable,
                asset=source.table.name,
                description="All values of the file can be read, and nothing that should be there is missing.",
            )
        ],
    )
    def loaded(warehouse: WarehouseParam, files: FilesParam, sources: SourcesParam) -> dg.MaterializeResult:
        spent = Cost()
        name = sources.file_of(source)
        require_file(files, name, written_by=file)
        contents = sources.read(source, files)
        warehouse.change(replace_contents, source, contents)
        num_rows = len(contents.rows)
        return dg.MaterializeResult(
            metadata={
                **table_facts(source.table, num_rows),
                **spent.so_far(rows=num_rows),
                **column_lineage(source.table),
                "synthetic": contents.synthetic,
                "preview": table(source.table.column_names, contents.rows[-PREVIEW_ROWS:]),
            },
            data_version=dg.DataVersion(files.describe(name).sha256),
            check_results=[all_readable(readable, contents.problems, "values, rows or days")],
        )

    return [observed, fetched, loaded]


def _observed(sources: SourceServers, source: Source) -> dict[str, Any]:
    """What an observation records: the version that is published, and where.

    Raises:
        StepFailure: the server does not answer, or there is no file.
    """
    try:
        version = sources.published_version(source)
    except FetchError as error:
        raise _failure(source, str(error), worth_a_retry=is_worth_a_retry(error)) from error
    url = sources.url_of(source)
    if version is None:
        raise _failure(source, f"There is no file at {url}", worth_a_retry=False)
    return {"data_version": dg.DataVersion(version), "metadata": {"url": url}}


def _fetch(context: dg.AssetExecutionContext, sources: SourceServers, source: Source, files: Any) -> FetchedFile:
    """Fetch the file; the run's log says from where, and whether it was still current.

    Raises:
        StepFailure: the file can't be had and there is no copy, or it is something else.
    """
    try:
        found = sources.fetch(source, files, log=context.log.info)
    except FetchError as error:
        raise _failure(source, str(error), worth_a_retry=is_worth_a_retry(error)) from error
    log_fetched(context, found)
    return found


def _failure(source: Source, why: str, *, worth_a_retry: bool) -> StepFailure:
    hint = f" Another URL can be set as {source.setting}." if source.setting else ""
    return StepFailure(
        f"{why}.{hint} What was made of {source.name} before stays as it is", allow_retries=worth_a_retry
    )
