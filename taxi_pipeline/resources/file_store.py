"""The data folder: the one place that knows where a named file lies."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from taxi_pipeline.files import locked, replacing


class MissingFileError(RuntimeError):
    """A file that another asset writes is not there."""


class FileStore(dg.ConfigurableResource):
    """The data folder. Files are named relative to it, with forward slashes (`outputs/trips_by_week.csv`)."""

    root: str

    def path(self, name: str) -> Path:
        """Where the file of that name lies."""
        return Path(self.root) / name

    def write_text(self, name: str, text: str) -> Path:
        """Write a whole text file; readers see the old or the new one, never a part."""
        with self.replacing(name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
        return self.path(name)

    def remove(self, name: str) -> None:
        """Remove the file of that name, if there is one."""
        self.path(name).unlink(missing_ok=True)

    def written_by(self, asset: str, name: str) -> Path:
        """Where the file of that name lies, which the asset writes.

        Raises:
            MissingFileError: it was not written yet.
        """
        path = self.path(name)
        if not path.is_file():
            raise MissingFileError(f"{path} is not there: materialize {asset} first")
        return path

    @contextmanager
    def locked(self, *names: str) -> Iterator[None]:
        """Keep other processes that lock the named files away from them until the block ends.

        Raises:
            FileInUseError: another process works on one of them for too long.
        """
        with ExitStack() as stack:
            for name in sorted(set(names)):  # in one order, so that two can't wait for each other
                stack.enter_context(locked(self.path(name)))
            yield

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A temporary path whose file takes the place of the named one at the end."""
        with replacing(self.path(name)) as temporary:
            yield temporary
