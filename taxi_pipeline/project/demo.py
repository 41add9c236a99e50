"""The demo: a project whose settings name a sample of two months. What is run in it is decided in `cli`.

Its folder is the data folder, too, and holds the sample and the Dagster instance: all that the demo leaves is there.
"""

import hashlib
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from taxi_pipeline.project.files import INSTANCE, SETTINGS_FILE, WORKSPACE, ProjectError, single_files
from taxi_pipeline.storage.whole_files import explaining_disk_errors, replacing
from taxi_pipeline.tlc.months import Days

DAYS = Days(date(2024, 12, 1), date(2025, 1, 31))

YELLOW_TRIPS_PER_DAY = 100_000
_SHARES = {"green": 0.023, "fhvhv": 0.06, "yellow": 1.0}
"""Fleet → its trips per trip of yellow taxis. High-volume trips are fewer than they are in New York, to save time."""

_SIGN = "# The demo of taxi-pipeline."
"""How the settings of a demo begin. A folder with such a file is one, and may be made anew."""
_MADE_WITH = ".made-with-"
_MADE_OF_THE_SAMPLE = ("mirror", "raw", "staging", "outputs", "datasets")


@dataclass(frozen=True)
class Demo:
    """A demo's folder, and what it is made with."""

    folder: Path
    """Absolute."""
    trips_per_day: int
    """Trips of yellow taxis on an average day; other fleets have theirs in proportion."""
    pages_url: str
    """URL of the pages, to which the links in the UI lead."""
    storage_url: str
    """URL of an object store's folder for the files; empty for the demo's folder."""
    engine: str
    """The warehouse's engine; empty for DuckDB."""

    @property
    def mirror(self) -> Path:
        """Folder of the sample."""
        return self.folder / "mirror"

    def trips_of_fleets(self) -> dict[str, int]:
        """Fleet → trips on an average day, in the order in which they are made."""
        return {fleet: max(1, round(share * self.trips_per_day)) for fleet, share in _SHARES.items()}

    def environment(self) -> dict[str, str]:
        """Settings for a process that runs in any folder."""
        return {"DAGSTER_HOME": str(self.folder), **self._settings(str(self.folder), self.mirror.as_uri())}

    def write_files(self, instance: Path | None = None) -> None:
        """Write the project: settings, instance, workspace. They are written anew each time.

        Args:
            instance: the instance's configuration; None for a history in files of the folder.

        Raises:
            ProjectError: the folder has files, and is no demo.
            StorageError: the disk refuses.
        """
        self._refuse_other_folders()
        sources = single_files()
        contents = {
            SETTINGS_FILE: self._settings_text().encode(),
            INSTANCE: (instance or sources[INSTANCE]).read_bytes(),
            WORKSPACE: sources[WORKSPACE].read_bytes(),
        }
        for name, content in contents.items():
            with replacing(self.folder / name) as temporary:
                temporary.write_bytes(content)

    def sample_is_made(self) -> bool:
        """Whether the sample is there, made by the same code with the same numbers."""
        return self._note.is_file()

    def clear_sample(self) -> None:
        """Remove an older sample, and what was made of it; the runs stay in the history."""
        with explaining_disk_errors(self.folder):
            for name in _MADE_OF_THE_SAMPLE:
                if (self.folder / name).exists():
                    shutil.rmtree(self.folder / name)

    def note_sample(self) -> None:
        """Note that the sample is complete."""
        with explaining_disk_errors(self._note):
            self._note.touch()

    @property
    def _note(self) -> Path:
        package = Path(__file__).parents[1]
        sources = [*sorted((package / "sample").glob("*.py")), package / "tlc" / "fleets.py"]
        made_with = [*(path.read_bytes() for path in sources), repr((DAYS, self.trips_of_fleets())).encode()]
        return self.mirror / f"{_MADE_WITH}{hashlib.sha256(b''.join(made_with)).hexdigest()[:12]}"

    def _refuse_other_folders(self) -> None:
        folder = self.folder
        if folder.exists() and not folder.is_dir():
            raise ProjectError(f"{folder} is a file; name a folder for the demo")
        if not folder.exists() or not any(folder.iterdir()) or is_demo(folder):
            return
        raise ProjectError(
            f"{folder} has other files in it. Name a folder that is empty, or that there is not, or a demo"
        )

    def _settings_text(self) -> str:
        lines = [f"{name}={value}" for name, value in self._settings(".", "file://mirror").items()]
        head = (
            f"{_SIGN} Each `taxi-pipeline demo` writes this file anew; for data of your own: taxi-pipeline init FOLDER"
        )
        return "\n".join([head, *lines, ""])

    def _settings(self, data_dir: str, mirror: str) -> dict[str, str]:
        """Every setting, also those that are empty, so that none of the shell or of another project counts.

        Only the addresses of servers are missing, which hold passwords.
        """
        unset = (
            "DUCKDB_DATABASE TAXI_ZONES_URL TAXI_BASES_URL TAXI_WEATHER_URL TLC_PAUSE_SECONDS TAXI_ACCEPT "
            "TAXI_KEPT_VERSIONS TAXI_AUTOMATION TAXI_HISTORY_DAYS TAXI_MARTS TAXI_NOTEBOOKS TAXI_DATASETS_FORMAT "
            "TAXI_TRIPS_DATASET TAXI_PAGES_HOSTS TAXI_ALERT_WEBHOOK_URL TAXI_CHAT_URLS TAXI_MAIL_TO TAXI_MAIL_FROM "
            "TAXI_SMTP_HOST TAXI_SMTP_PORT TAXI_SMTP_TLS TAXI_SMTP_USER TAXI_SMTP_PASSWORD "
            "TAXI_SMTP_PASSWORD_FILE"
        ).split()
        return {
            "TAXI_DATA_DIR": data_dir,
            "TLC_URL": mirror,
            "TAXI_FLEETS": "yellow,green,fhvhv",
            "TAXI_START_DATE": str(DAYS.first),
            "TAXI_END_DATE": str(DAYS.last),
            "TAXI_PAGES_URL": self.pages_url,
            "TAXI_STORAGE_URL": self.storage_url,
            "TAXI_ENGINE": self.engine,
            "TAXI_CATALOG_NAMESPACE": "demo",
            **dict.fromkeys(unset, ""),
        }


def is_demo(folder: Path) -> bool:
    """Whether a folder holds a demo, also one that `make demo` of an older version made."""
    settings = folder / SETTINGS_FILE
    if settings.is_file():
        return settings.read_text(encoding="utf-8", errors="replace").startswith(_SIGN)
    return any((folder / "mirror").glob(f"{_MADE_WITH}*"))
