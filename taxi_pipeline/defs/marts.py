"""Group `marts`: a dbt project as assets of the graph, by month, when the extra `dbt` is installed.

Here dbt's models and tests become assets and checks. Their SQL, columns and tests are in `taxi_pipeline/marts/`; a
project that has a folder `marts/` of its own has those instead.
"""

import atexit
import hashlib
import importlib.metadata
import importlib.util
import io
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_pipeline.defs.automation import window_complete
from taxi_pipeline.defs.partitions import backfill_policy, monthly_partitions, windows_of
from taxi_pipeline.defs.resources import POOL, WarehouseParam
from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.settings import Settings, find_project
from taxi_pipeline.storage.whole_files import locked
from taxi_pipeline.tlc.months import next_month

if TYPE_CHECKING:
    from dagster_dbt import DbtCliInvocation, DbtCliResource, DbtProject

MARTS = "marts"
"""Name of the group and of the job."""

_ASSETS_OF_TABLES = {
    "trips": "taxi_trips",
    "net_parts": "taxi_trips",
    "net_trips": "taxi_trips",
    "loaded_days": "taxi_trips",
    "zone_hourly_trips": "zone_hourly_trips",
    "zone_hourly_voids": "zone_hourly_trips",
    "zone_hourly_dropoffs": "zone_hourly_trips",
    "zones": "taxi_zones",
    "zone_areas": "code_tables",
    "request_sources": "code_tables",
    "company_bases": "code_tables",
    "tlc_indicators": "tlc_indicators",
}
"""Table or view of the warehouse → the asset that it belongs to."""

_DAILY = {"taxi_trips", "zone_hourly_trips"}

INDICATORS = "indicators"
"""Folder of the models that read no trips, and their group: they hold all months of the TLC's report, and are made when
it is loaded."""

_PARSED = "partial_parse.msgpack"
"""dbt's name of the file with what it parsed."""

_SHIPPED = Path(__file__).parents[1] / "marts"


class MartsError(TaxiPipelineError):
    """The dbt project can't be used."""


@dataclass(frozen=True)
class Marts:
    """The definitions that the marts add to the code location."""

    assets: list[Any]
    jobs: list[Any]
    resources: Mapping[str, Any]


def build_marts(settings: Settings) -> Marts:
    """Build the marts; empty when they are off, or without the extra `dbt`."""
    if not settings.marts or importlib.util.find_spec("dagster_dbt") is None:
        return Marts([], [], {})
    from dagster_dbt import DbtCliResource, DbtProject

    project = DbtProject(_folder_of_marts(), target_path=_folder_for_dbt(settings))
    executable = dbt_program()
    _parse_when_changed(project, executable, _variables(str(settings.duckdb_database)))
    job = dg.define_asset_job(
        MARTS,
        selection=dg.AssetSelection.groups(MARTS),
        description="Makes the marts of months. Automation makes each when its days are loaded; this job makes any.",
    )
    dbt = DbtCliResource(project_dir=project, dbt_executable=executable, global_config_flags=["--no-use-colors"])
    return Marts(_assets_of(project), [job], {"dbt": dbt})


def _folder_of_marts() -> Path:
    """The dbt project: `marts/` of the project, else the one that the package brings."""
    own = (find_project() or _SHIPPED.parent) / "marts"
    return own if (own / "dbt_project.yml").is_file() else _SHIPPED


def _folder_for_dbt(settings: Settings) -> Path:
    """Where dbt writes what it parsed. Not into the package, which may be read-only.

    That is the data folder. Where there is neither one nor a project that will have one, it is a folder that is removed
    when the process ends: whoever only looks at the definitions finds nothing new in the current folder.
    """
    if find_project() or settings.data_dir.is_dir():
        return settings.data_dir / ".dbt"
    folder = Path(tempfile.mkdtemp(prefix="taxi-marts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def dbt_program() -> str:
    """The path of the program `dbt`: beside Python, else on the PATH.

    Raises:
        MartsError: there is none.
    """
    beside = Path(sys.executable).with_name("dbt")
    found = str(beside) if beside.is_file() else shutil.which("dbt")
    if found is None:
        raise MartsError(
            f"dagster-dbt is installed, but the program dbt is neither at {beside} nor on the PATH. "
            "Install the extra dbt (pip install 'taxi-pipeline[dbt]'), or set TAXI_MARTS=off"
        )
    return found


def _assets_of(project: "DbtProject") -> list[dg.AssetsDefinition]:
    from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

    # An asset can have several tables.
    translator_settings = DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)

    class Translator(DagsterDbtTranslator):
        """Names and describes models and tables of the warehouse for the UI."""

        def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
            name = dbt_resource_props["name"]
            if dbt_resource_props["resource_type"] == "source":
                return dg.AssetKey(_ASSETS_OF_TABLES[name])
            return dg.AssetKey(["marts", name])

        def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
            return INDICATORS if INDICATORS in dbt_resource_props["fqn"] else MARTS

        def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:  # noqa: ARG002
            return {"output": "table"}

        def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
            return dbt_resource_props["description"]

        def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> dg.AutomationCondition | None:
            return None if INDICATORS in dbt_resource_props["fqn"] else window_complete

        def get_partition_mapping(
            self,
            dbt_resource_props: Mapping[str, Any],  # noqa: ARG002
            dbt_parent_resource_props: Mapping[str, Any],
        ) -> dg.PartitionMapping | None:
            parent = self.get_asset_key(dbt_parent_resource_props).to_user_string()
            return dg.TimeWindowPartitionMapping() if parent in _DAILY else None

    common: Any = {
        "manifest": project.manifest_path,
        "project": project,
        "dagster_dbt_translator": Translator(translator_settings),
        "pool": POOL,
    }

    @dbt_assets(
        name="dbt_marts",
        exclude=f"path:models/{INDICATORS}",
        partitions_def=monthly_partitions,
        backfill_policy=backfill_policy,
        **common,
    )
    def dbt_marts(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseParam) -> Iterator[Any]:
        """Build the models of these months, and test them."""
        months = windows_of(context)
        # dbt's own options for the time that is made. As variables they would make dbt parse all files again.
        span = ["--event-time-start", str(min(months)), "--event-time-end", str(next_month(max(months)))]
        yield from _built(context, dbt, project, warehouse.location, span)

    @dbt_assets(name="dbt_indicators", select=f"path:models/{INDICATORS}", **common)
    def dbt_indicators(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseParam
    ) -> Iterator[Any]:
        """Build the models of the TLC's monthly report, and test them."""
        yield from _built(context, dbt, project, warehouse.location)

    return [dbt_marts, dbt_indicators]


def _built(
    context: dg.AssetExecutionContext,
    dbt: "DbtCliResource",
    project: "DbtProject",
    database: str,
    options: Sequence[str] = (),
) -> Iterator[Any]:
    """Build the selected models in this database, and yield what was made and tested."""
    with tempfile.TemporaryDirectory(prefix="taxi-marts-") as folder:  # dbt keeps what it compiled in each run
        parsed = project.manifest_path.with_name(_PARSED)
        if parsed.is_file():
            shutil.copy(parsed, folder)
        invocation = dbt.cli(["build", *_variables(database), *options], context=context, target_path=Path(folder))
        yield from _with_output_in_log(context, invocation)


def _variables(database: str) -> list[str]:
    """Options of dbt: the variables of the project. dbt uses what it parsed before only when they are the same."""
    return ["--vars", json.dumps({"database": database})]


def _with_output_in_log(context: dg.AssetExecutionContext, invocation: "DbtCliInvocation") -> Iterator[Any]:
    """Yield the events of an invocation; its output becomes one message of the run's log and no lines on a terminal.

    What was made and tested before dbt failed counts, too.
    """
    from dagster_dbt import DagsterDbtCliRuntimeError

    output, events, failure = io.StringIO(), [], None
    with redirect_stdout(output):
        try:
            for event in invocation.stream():
                events.append(event)
        except DagsterDbtCliRuntimeError as error:
            failure = error
    context.log.info(output.getvalue())
    yield from events
    if failure:
        raise failure


def _parse_when_changed(project: "DbtProject", executable: str, variables: Sequence[str]) -> None:
    """Let dbt write its manifest, out of which the assets are made, when a file or a variable changed since.

    Beside the manifest dbt leaves what it parsed, which each run takes over.

    Several processes load the code location at the same time; one of them does it. It is a process of its own, because
    dbt would import DuckDB into this one.

    Raises:
        MartsError: dbt does not understand the project; has dbt's message.
    """
    folder = project.project_dir
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".sql", ".yml")]
    by_hand = folder / "target"  # what dbt writes when it is run by hand
    sources = [path for path in paths if not path.is_relative_to(by_hand)]
    contents = [f"{path}\n".encode() + path.read_bytes() for path in sources]
    known = [importlib.metadata.version("dbt-core"), *variables]
    digest = hashlib.sha256(b"".join([*(f"{each}\n".encode() for each in known), *contents])).hexdigest()
    note = project.manifest_path.with_name("parsed.sha256")
    with locked(note):
        if project.manifest_path.is_file() and note.is_file() and note.read_text() == digest:
            return
        target = project.manifest_path.parent
        options = {"--project-dir": folder, "--profiles-dir": folder, "--target-path": target, "--log-path": target}
        command = [executable, "--quiet", "--no-use-colors", "parse", *variables, *itertools.chain(*options.items())]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own project
        if result.returncode:
            raise MartsError(
                f"dbt can't parse {folder}: {result.stdout.strip()}. Correct it, or set TAXI_MARTS=off to do without"
            )
        note.write_text(digest)
