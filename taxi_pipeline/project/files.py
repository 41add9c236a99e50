"""The files of a project, and how a new one is written. What the demo writes is in `demo`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from taxi_pipeline.errors import TaxiPipelineError
from taxi_pipeline.storage.whole_files import explaining_disk_errors, make_folder

SHIPPED = Path(__file__).parent
"""Folder of the files that the package brings."""

INSTANCE, WORKSPACE, SETTINGS_FILE = "dagster.yaml", "workspace.yaml", ".env"
"""Files of a project: the Dagster instance, where Dagster finds the code, the settings."""

MARTS = "marts"
"""Folder of a project's own dbt project."""

_SINGLE_FILES = {
    INSTANCE: "dagster.yaml",
    WORKSPACE: "workspace.yaml",
    SETTINGS_FILE: "env.example",
    ".gitignore": "gitignore",
}
"""File of a project → the file beside this module that it begins as."""

_DBT_FILES = (".sql", ".yml")
_LISTED = 5
"""As many names as an error lists."""


class ProjectError(TaxiPipelineError):
    """A project can't be written, or there is none."""


def new_project(folder: Path) -> list[str]:
    """Write a project with every setting at its default, and the marts, to change them.

    Args:
        folder: is made where it does not exist.

    Returns:
        What was written: names of files, and of the folder of the marts, relative to the folder.

    Raises:
        ProjectError: a file of a project is there already; nothing is written.
        StorageError: the disk refuses.
    """
    sources = {**single_files(), **_marts()}
    refuse_existing(folder, sources)
    for name, source in sources.items():
        target = folder / name
        with explaining_disk_errors(target):
            make_folder(target.parent)
            # "x": also what came into being a moment ago is not overwritten.
            with target.open("xb") as file:
                file.write(source.read_bytes())
    return [*_SINGLE_FILES, f"{MARTS}/"]


def single_files() -> dict[str, Path]:
    """File at the top of a project → the shipped file that it begins as."""
    return {name: SHIPPED / source for name, source in _SINGLE_FILES.items()}


def refuse_existing(folder: Path, names: Mapping[str, object]) -> None:
    """Refuse to write into a folder that has some of these files.

    Raises:
        ProjectError: names the files.
    """
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file; name a folder")
    there = [name for name in names if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
        raise ProjectError(
            f"{folder} has {', '.join(there[:_LISTED])}{more} already, and nothing is overwritten. Name another "
            "folder, or move these away"
        )


def _marts() -> dict[str, Path]:
    return {
        f"{MARTS}/{path.relative_to(root)}": path for root in [SHIPPED.parent / "marts"] for path in _dbt_files(root)
    }


def _dbt_files(root: Path) -> Iterator[Path]:
    """The files of the shipped marts, without what dbt wrote beside them when it was run by hand."""
    for path in sorted(root.rglob("*")):
        if path.suffix in _DBT_FILES and path.relative_to(root).parts[0] not in ("target", "logs"):
            yield path
