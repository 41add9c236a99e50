"""The wheel, built out of a copy of the source tree, and installed into an environment of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from taxi_pipeline_tests.conftest import REPOSITORY
from taxi_pipeline_tests.project_copies import PACKAGE

NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "target", "logs", ".user.yml")
"""What Python and dbt leave in the package's folder."""
BUILD = "import setuptools.build_meta as backend, sys; print(backend.build_wheel(sys.argv[1]))"


def build_wheel(folder: Path) -> Path:
    """Build the wheel out of a copy of the source tree, with the setuptools that is installed."""
    source = folder / "source"
    shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=NOT_SHIPPED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1735689600"}
    command = [sys.executable, "-W", "ignore", "-c", BUILD, str(folder)]
    result = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / result.stdout.split()[-1]


def install_wheel(wheel: Path, folder: Path) -> Path:
    """Make an environment with the wheel; other packages are those of this one. Gives the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    names = {"base": str(folder), "platbase": str(folder)}
    Path(sysconfig.get_path("purelib", vars=names), "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    return folder / "bin"
