"""Write the pages of the reference from their sources: `make docs`. A test compares them.

The data dictionary comes from the declarations of the tables, the command line from the commands, the settings from
`.env.example`, the data contracts from the declarations of tables, datasets and quality rules. And the files of a
project that `taxi-pipeline init` writes are those of this one.
"""

import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from taxi_pipeline.cli import main as cli
from taxi_pipeline.contract.odcs import as_yaml, contracts
from taxi_pipeline.project.files import SHIPPED
from taxi_pipeline.questions.data_dictionary import data_dictionary

ROOT = Path(__file__).resolve().parents[1]


def command_line() -> str:
    """Write the page on the commands, from their `--help`."""
    return "\n".join(_commands())


def _commands() -> Iterator[str]:
    yield "# Command line\n"
    yield "`taxi-pipeline` is in `.venv/bin`. `python -m taxi_pipeline` does the same.\n"
    yield "Exit codes: 0 when all went well, 1 when something failed (the message says what to do), "
    yield "2 for a wrong option.\n"
    context = click.Context(cli, info_name="taxi-pipeline", terminal_width=100, **cli.context_settings)
    for name in sorted(cli.commands):
        command = cli.commands[name]
        shown = command.get_help(click.Context(command, info_name=name, parent=context, terminal_width=100))
        yield f"## `{name}`\n\n```text\n{shown}\n```\n"


def settings() -> str:
    """Write the page on the settings: each variable of `.env.example` with its default and its comment."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    head, *blocks = text.split("\n\n")
    rows = []
    introduction = [_wrapped(_uncommented(head))]
    for block in blocks:
        found = re.fullmatch(r"(.*?)\n?#([A-Z_]+)=(.*)", block.strip(), re.DOTALL)
        if found is None:
            introduction.append(_wrapped(_uncommented(block)))
            continue
        comment, name, default = found.groups()
        rows.append(f"| `{name}` | {f'`{default}`' if default else '-'} | {_uncommented(comment)} |")
    return "\n".join(
        [
            "# Settings\n",
            "\n\n".join(introduction) + "\n",
            "| variable | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
            "`DAGSTER_HOME` names the Dagster instance; `taxi-pipeline dev` sets it to the project's folder.\n",
        ]
    )


def _wrapped(text: str) -> str:
    return "\n\n".join(textwrap.fill(paragraph, 120) for paragraph in text.split("\n\n"))


def _uncommented(block: str) -> str:
    lines = [line.removeprefix("#").strip() for line in block.strip().splitlines()]
    paragraphs = "\n".join(lines).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)


PAGES = {
    "data-dictionary.md": data_dictionary,
    "command-line.md": command_line,
    "settings.md": settings,
    "contract/datasets.odcs.yaml": lambda: as_yaml(contracts()["datasets"]),
    "contract/warehouse.odcs.yaml": lambda: as_yaml(contracts()["warehouse"]),
}
"""Name of the page in `docs/` → the function that writes it."""


OF_THIS_PROJECT = {".env.example": "env.example", "dagster.yaml": "dagster.yaml", "workspace.yaml": "workspace.yaml"}
"""File of this project → its copy in the package, out of which `taxi-pipeline init` makes a project."""


def main() -> None:
    """Write them all."""
    for name, copy in OF_THIS_PROJECT.items():
        shutil.copyfile(ROOT / name, SHIPPED / copy)
    for name, make in PAGES.items():
        (ROOT / "docs" / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
