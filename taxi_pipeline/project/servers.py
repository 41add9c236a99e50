"""The servers of `taxi-pipeline dev`: what listens on their ports, and two processes that begin and end together.

What they serve is not decided here: the pages are in `pages`, the UI is Dagster's.
"""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from taxi_pipeline.errors import TaxiPipelineError

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_EVERY_SECONDS = 0.2
_LISTEN = "0A"
"""The state of a socket in `/proc/net/tcp`."""


class PortTakenError(TaxiPipelineError):
    """Another program listens on a port."""

    def __init__(self, port: int, use: str, option: str) -> None:
        super().__init__(
            f"Port {port}, for {use}, is taken{_by_whom(port)}. End that program, or take another port: {option}"
        )


def refuse_taken_port(port: int, use: str, option: str) -> None:
    """Refuse a port of 127.0.0.1 on which a program listens.

    Args:
        port: the port.
        use: what it is for.
        option: how to choose another one.

    Raises:
        PortTakenError: names who listens there, where the system tells.
    """
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise PortTakenError(port, use, option) from error


def run_together(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], folder: Path, patience: float
) -> int:
    """Run programs until one of them ends, or this process is told to end; then end all.

    Each gets SIGINT, once. The first signal to this process is passed on, the second kills what is left.

    Args:
        commands: programs with their arguments.
        environment: of all.
        folder: in which they run.
        patience: seconds that they have to end before they are killed.

    Returns:
        0 when this process was told to end, else the exit code of the one that ended by itself.
    """
    with _told_to_end() as told:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for command in commands:
                # A group of its own: Ctrl-C would reach the programs besides, and twice means to Dagster: at once.
                processes.append(
                    subprocess.Popen(  # noqa: S603 - programs of this environment
                        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, process_group=0
                    )
                )
            while not told.is_set() and all(process.poll() is None for process in processes):
                told.wait(_LOOK_EVERY_SECONDS)
            ended = [process.returncode for process in processes if process.poll() is not None]
            return 0 if told.is_set() else ended[0]
        finally:
            told.clear()
            _end(processes, told, patience)


def _end(processes: Sequence["subprocess.Popen[bytes]"], told: threading.Event, patience: float) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    looks = int(patience / _LOOK_EVERY_SECONDS)
    while looks and not told.is_set() and any(process.poll() is None for process in processes):
        told.wait(_LOOK_EVERY_SECONDS)
        looks -= 1
    for process in processes:
        with suppress(ProcessLookupError):  # all of its group have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C, by SIGTERM, and when the terminal is closed."""
    told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        told.set()

    before = {number: signal.signal(number, tell) for number in _ENDS}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _by_whom(port: int) -> str:
    """` by PROGRAM (process NUMBER)`; empty where the system does not tell, as for a process of another user."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            if sockets & {str(entry.readlink()) for entry in folder.iterdir()}:
                words = (folder.parent / "cmdline").read_bytes().decode(errors="replace").split("\0")
                return f" by {' '.join(words).strip()[:80]!r} (process {folder.parent.name})"
    return ""


def _listening(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on a port of this machine."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                    yield rest[5]
