"""A PostgreSQL server with its files in a folder."""

import os
import shutil
import subprocess
from pathlib import Path

USER = "taxi"
DATABASE = "dagster"
PASSWORD = "only-for-tests"  # noqa: S105 - of a server on loopback


def programs_folder() -> Path | None:
    """The folder of `initdb` and `postgres`; None when PostgreSQL is not installed."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").is_file():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def make_cluster(folder: Path, programs: Path, port: int) -> None:
    """Make the files of a new server, with a database and its user.

    Args:
        folder: must not exist yet, or hold the files of an earlier call.
        programs: the folder of PostgreSQL's programs.
        port: on loopback.
    """
    if (folder / "PG_VERSION").is_file():
        return
    folder.mkdir(parents=True)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    password_file = folder.with_name(f"{folder.name}.password")
    password_file.write_text(f"{PASSWORD}\n")
    password_file.chmod(0o644)
    options = ["-U", USER, "-E", "UTF8", "--no-sync", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    subprocess.run(
        as_server_user([str(programs / "initdb"), "-D", str(folder), *options]),
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    password_file.unlink()
    with (folder / "postgresql.conf").open("a") as configuration:
        configuration.write(f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n")


def command(folder: Path, programs: Path) -> list[str]:
    """The command that starts the server."""
    return as_server_user([str(programs / "postgres"), "-D", str(folder)])


def url(port: int, database: str = DATABASE) -> str:
    """The URL of a database of the server."""
    return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/{database}"


def as_server_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root; Debian's package has a user for it."""
    return (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command] if os.getuid() == 0 else command
    )
