"""`make bench`: run the cases, print the table, write `benchmarks/results.md`."""

import os
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.table import Table
from tabulate import tabulate

from benchmarks.cases import CASES, Bench, Row

HEADER = ("case", "what", "ours", "against", "ratio", "bound", "holds")
RESULTS = Path(__file__).with_name("results.md")


@click.command(context_settings={"show_default": True})
@click.argument("cases", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--trips-per-day", default=110_000, help="Yellow trips on a day.")
@click.option("--big-trips-per-day", default=645_000, help="High-volume trips on a day.")
@click.option("--repeat", default=3, help="How often short cases are measured; the median counts.")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Where files go.  [default: a temporary folder]")
def main(
    cases: tuple[str, ...], trips_per_day: int, big_trips_per_day: int, repeat: int, work_dir: Path | None
) -> None:
    """Measure CASES (all of them when none is named). All of them take more than an hour and 12 GB of disk."""
    console = Console(width=140, highlight=False)
    with TemporaryDirectory(prefix="taxi-bench-") as temporary:
        bench = Bench(Path(work_dir or temporary), trips_per_day, big_trips_per_day, repeat)
        for name in cases or CASES:
            console.print(f"{datetime.now(UTC):%H:%M:%S} {name} ...")
            CASES[name](bench)
        table = Table(*HEADER)
        for row in bench.rows:
            table.add_row(*_cells(row))
        console.print(table)
        if set(cases or CASES) == set(CASES):
            RESULTS.write_text(_page(bench), encoding="utf-8")
            console.print(f"Written to {RESULTS.relative_to(Path.cwd())}")
    if any(row.holds is False for row in bench.rows):
        raise SystemExit(1)


def _cells(row: Row) -> tuple[str, ...]:
    holds = "" if row.holds is None else "yes" if row.holds else "NO"
    return (row.case, row.what, row.ours, row.other, f"{row.ratio:.2f}" if row.ratio else "", row.bound, holds)


def _page(bench: Bench) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("dagster", "duckdb", "pandas", "pyarrow"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "\n".join(
        [
            "# Results of `make bench`",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({_processor()}), {memory:.0f} GB of memory, "
            f"{platform.system()}, Python {platform.python_version()}, {packages}; {bench.trips_per_day:,} trips "
            "a day. Median of several measurements; other machines give other seconds, the ratios should stay.",
            "",
            tabulate(list(map(_cells, bench.rows)), HEADER, tablefmt="pipe", disable_numparse=True),
            "",
        ]
    )


def _processor() -> str:
    """The processor's name, where the system tells it."""
    if shutil.which("lscpu"):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
