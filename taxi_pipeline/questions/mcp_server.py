"""The MCP server: its tools, what they say of themselves, and in which words they refuse.

Each tool reads. Answers are bounded (`bounded.Limits`); what a tool returns is what its dataclass says, as JSON.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.pages.links import PAGES_FOLDER, Pages
from taxi_pipeline.pages.server import served_names
from taxi_pipeline.questions.bounded import Answer, QuestionRefusedError, Questions
from taxi_pipeline.questions.catalogue import DescribedTable, described, dictionary_sections, table_names
from taxi_pipeline.storage import Storage
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import coverage_by_fleet, is_synthetic, loaded_months, loaded_span
from taxi_pipeline.warehouse.interface import NothingLoadedError, Session

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

Result = TypeVar("Result")

INSTRUCTIONS = """\
New York's taxi trips as verified tables: fleets yellow, green, fhv and fhvhv. Begin with `loaded` (days and fleets that
are there; whether trips are synthetic) and `tables`, then `describe` a table before you ask it. `query` answers one
SELECT in DuckDB's SQL. Prefer the rollup zone_hourly_trips (fleet, pickup_date, hour, zone) to trips. Amounts are US
dollars, times are New York wall time. A zone_id is explained by the table zones. Say so where trips are synthetic."""

NO_QUERY = (
    "With TAXI_ENGINE=spark there is no `query` here: Spark itself answers SQL, docs/cluster.md says how. "
    "The other tools are there."
)


@dataclass(frozen=True)
class NamedTable:
    """A table that can be asked."""

    name: str
    description: str


@dataclass(frozen=True)
class LoadedFleet:
    """The loaded days of a fleet."""

    fleet: str
    first_day: date
    last_day: date
    num_days: int
    num_missing_days: int
    """Days between the first and the last that are not loaded."""
    num_trips: int
    months: list[str]
    """Its months, as 2025-01; a month whose days are not all loaded has the number of days behind it."""


@dataclass(frozen=True)
class Loaded:
    """What is loaded."""

    synthetic: bool
    """Whether the trips were generated, and are not the TLC's."""
    fleets: list[LoadedFleet]


@dataclass(frozen=True)
class Section:
    """A section of the data dictionary."""

    heading: str
    text: str


@dataclass(frozen=True)
class Page:
    """A page, picture or table among the outputs."""

    name: str
    file: str
    """URI of the file."""
    link: str | None
    """URL that opens it in a browser while `taxi-pipeline pages` runs; None where TAXI_PAGES_URL is not set."""


@dataclass(frozen=True)
class Tools:
    """What the tools need."""

    questions: Questions | None
    """None with an engine whose SQL is not asked here."""
    session: Callable[[], AbstractContextManager[Session]]
    """Opens a session that only reads."""
    files: Storage
    pages: Pages

    def tables(self) -> list[NamedTable]:
        """List the tables and views that can be asked, each with what it holds."""
        return [NamedTable(name, description) for name, description in table_names(self.questions).items()]

    def describe(self, table: str) -> DescribedTable:
        """Describe a table's columns: type, meaning, unit, and whether a value can be NULL."""
        return described(table, self.questions)

    def query(self, sql: str) -> Answer:
        """Answer one SELECT in DuckDB's SQL, on a copy of the tables.

        It can't write, read files or change settings. Decimals, dates and times are text, exactly. `cut` says when rows
        were left out, so aggregate in SQL. Functions in FROM: range, generate_series, unnest.
        """
        if self.questions is None:
            raise QuestionRefusedError(NO_QUERY)
        return self.questions.ask(sql)

    def data_dictionary(self, heading: str = "") -> list[Section]:
        """Look a heading of the data dictionary up; without one all headings are listed, without their texts.

        It has what the TLC publishes in which era and which column that feeds, the meanings of codes, datasets, and the
        known defects of vendors.
        """
        sections = dictionary_sections()
        if not heading:
            return [Section(each, "") for each in sections]
        if heading not in sections:
            raise QuestionRefusedError(f"There is no heading {heading[:100]!r}. There are: {'; '.join(sections)}.")
        return [Section(heading, sections[heading])]

    def loaded(self) -> Loaded:
        """Say which days and months of which fleets are loaded, and whether their trips are synthetic."""
        try:
            with self.session() as session:
                return _loaded(session)
        except NothingLoadedError:
            return Loaded(synthetic=False, fleets=[])

    def outputs(self) -> list[Page]:
        """List the maps, reports and charts that are made, with links that open them in a browser."""
        names = [f"{PAGES_FOLDER}{name}" for name in served_names(self.files)]
        return [Page(name, self.files.uri(name), self.pages.link(name)) for name in names]


def _loaded(session: Session) -> Loaded:
    months: dict[str, list[str]] = {}
    span = loaded_span(session)
    for month in loaded_months(session, span) if span else ():
        days = "" if month.is_whole else f" ({month.num_days} of {Days.of_month(month.first).num_days} days)"
        months.setdefault(month.fleet, []).append(f"{month.first:%Y-%m}{days}")
    fleets = [
        LoadedFleet(
            fleet=fleet,
            first_day=found.first_day,
            last_day=found.last_day,
            num_days=found.num_days,
            num_missing_days=found.num_missing,
            num_trips=found.num_trips,
            months=months.get(fleet, []),
        )
        for fleet, found in sorted(coverage_by_fleet(session).items())
    ]
    return Loaded(synthetic=is_synthetic(session), fleets=fleets)


def build_server(tools: Tools) -> "MCPServer[Any]":
    """The server with its tools. It speaks when its `run` is called.

    Raises:
        ModuleNotFoundError: the extra `mcp` is not installed.
    """
    from mcp.server.mcpserver import MCPServer
    from mcp.types import ToolAnnotations

    server: MCPServer[Any] = MCPServer(
        "taxi-pipeline",
        instructions=INSTRUCTIONS if tools.questions else f"{INSTRUCTIONS}\n{NO_QUERY}",
        version=version("taxi-pipeline"),
        log_level="ERROR",
    )
    reads = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    for tool in (tools.loaded, tools.tables, tools.describe, tools.query, tools.data_dictionary, tools.outputs):
        if tool == tools.query and tools.questions is None:
            continue
        server.tool(description=inspect.getdoc(tool), annotations=reads)(_refusing_in_words(tool))
    return server


def _refusing_in_words(tool: Callable[..., Result]) -> Callable[..., Result]:
    """The tool, whose errors of ours reach the client as text; those that are none are told by the server's log."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(tool)
    def call(*args: Any, **kwargs: Any) -> Result:
        try:
            return tool(*args, **kwargs)
        except TaxiPipelineError as error:
            raise ToolError(str(error)[:2000]) from error

    return call
