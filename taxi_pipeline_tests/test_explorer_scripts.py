"""The explorer's scripts that compute, by node's own runner: `explorer_scripts/` has their tests."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "explorer_scripts"


@pytest.mark.checkout
def test_sums_addresses_and_pairs() -> None:
    node = shutil.which("node")
    if node is None or _version_of(node) < 20:
        pytest.skip("no node 20 or newer: it runs the tests of the explorer's scripts")
    tests = sorted(map(str, FOLDER.glob("*.test.js")))
    done = subprocess.run([node, "--test", *tests], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert re.search(r"# pass (\d+)", done.stdout), done.stdout


def _version_of(node: str) -> int:
    said = subprocess.run([node, "--version"], check=True, capture_output=True, text=True, timeout=60).stdout
    return int(said.removeprefix("v").partition(".")[0])
