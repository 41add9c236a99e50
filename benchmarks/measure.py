"""Measuring processes: wall time and peak memory."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Measured:
    """The time and memory of a process."""

    seconds: float
    peak_mb: float
    """Peak memory of the largest process, in MB: the command's own or one that it waited for."""
    output: str


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end. Python keeps its bytecode between two processes, as it does unless told otherwise.

    Raises:
        RuntimeError: it failed; holds what it said.
    """
    variables = dict(os.environ if environment is None else environment)
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    begun = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)), env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output[-4000:]}")
    return Measured(seconds, usage.ru_maxrss / 1024, output)


def middle(measured: Sequence[Measured]) -> Measured:
    """The median of the times, and of the peaks."""
    return Measured(
        median(one.seconds for one in measured), median(one.peak_mb for one in measured), measured[-1].output
    )
