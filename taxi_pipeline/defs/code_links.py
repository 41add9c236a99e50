"""Links from an asset's page to its code: to the commit that is installed, or to the file in a clone.

`pip` notes in `direct_url.json` from which repository and commit it installed a package. Where that is missing (a
wheel, an editable clone) or its host is none that Dagster knows, the link names the local file.
"""

import importlib.metadata
import json
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

_PACKAGE = Path(__file__).parents[1]


def with_code_links(assets: Iterable[Any], note: str | None = None) -> Sequence[Any]:
    """Turn the assets' references to local files into links to the installed commit, if there is one.

    Args:
        assets: assets with references to local files.
        note: content of `direct_url.json`; None for that of the installed package.
    """
    note = note or _note_of_installation()
    repository = _repository(json.loads(note)) if note else None
    if repository is None:
        return list(assets)
    url, commit = repository
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.link_code_references_to_git(
            list(assets),
            git_url=url,
            git_branch=commit,
            file_path_mapping=dg.AnchorBasedFilePathMapping(
                local_file_anchor=_PACKAGE / "__init__.py", file_anchor_path_in_repository="taxi_pipeline/__init__.py"
            ),
        )


def _note_of_installation() -> str | None:
    try:
        return importlib.metadata.distribution("taxi-pipeline").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None


def _repository(note: dict[str, Any]) -> tuple[str, str] | None:
    """URL of the repository's page, and the commit; None for an installation from elsewhere."""
    commit = note.get("vcs_info", {}).get("commit_id")
    found = re.fullmatch(r"(?:https?|ssh)://(?:[^@/]+@)?([^/:]*(?:github|gitlab)[^/:]*)(?::\d+)?/(.+)", note["url"])
    return (f"https://{found[1]}/{found[2].removesuffix('.git')}", commit) if commit and found else None
