"""Whether a tag names the version that is in the files: `python -m docs.release_version v1.2.3`.

The first step of a release. It needs nothing but Python, and builds nothing.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def objections(tag: str, root: Path = ROOT) -> list[str]:
    """What speaks against a release by this tag; each a sentence. Empty when nothing does.

    Args:
        tag: `v` and a version, as in `v1.2.3`.
        root: the clone: holds `pyproject.toml`, `CITATION.cff` and `CHANGELOG.md`.
    """
    if not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
        return [f"{tag[:40]!r} is no tag of a release: name it like v1.2.3"]
    wanted = tag.removeprefix("v")
    heading = re.search(r"^## (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    cited = re.search(r"^version: (\S+)$", (root / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {
        "pyproject.toml": tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        "CITATION.cff": cited[1] if cited else "none",
        "the first heading of CHANGELOG.md": heading[1] if heading else "none",
    }
    return [
        f"{where} has the version {version}, the tag {wanted}: change the file, or tag the commit that has it"
        for where, version in found.items()
        if version != wanted
    ]


if __name__ == "__main__":
    said = objections(sys.argv[1] if len(sys.argv) > 1 else "")
    sys.exit("\n".join(said) if said else 0)
