"""The hooks of MkDocs: pages that lie outside of `docs/` become pages of the site.

README, CONTRIBUTING and others stay where people look for them in a repository. The site has them below `project/`, and
links to them lead there. A link to any other file of the repository becomes its name. A page asks no server for a
script.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "data/README.md",
    "data/requests/README.md",
    "deploy/README.md",
)
"""Pages outside of `docs/`, relative to the repository."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)#\s]*)(#[^)]*)?\)")
_FETCHED = re.compile(r'(?<=src=")https://[^"]+/iframe-worker/shim(?=")')
"""The script that the theme's search asks a server for when a page is opened from the disk."""

_OWN = "worker_in_frame.js"
"""What takes its place."""

_FENCED = re.compile(r"(```.*?```)", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside."""
    for name in PAGES:
        content = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, f"project/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Let links lead to where pages are on the site."""
    source = page.file.src_uri
    there = {file.src_uri for file in files}
    # The page's path in the repository.
    original = source.removeprefix("project/") if source.startswith("project/") else f"docs/{source}"

    def moved(match: re.Match[str]) -> str:
        image, text, target, anchor = match.group(1), match.group(2), match.group(3), match.group(4) or ""
        text = _LINK.sub(moved, text)
        if not target or "://" in target or target.startswith("mailto:"):
            return f"{image}[{text}]({target}{anchor})"
        name = posixpath.normpath(posixpath.join(posixpath.dirname(original), target))
        on_site = name.removeprefix("docs/") if name.startswith("docs/") else f"project/{name}"
        if f"{on_site}/README.md" in there:
            on_site = f"{on_site}/README.md"
        if on_site in there:
            return f"{image}[{text}]({posixpath.relpath(on_site, posixpath.dirname(source) or '.')}{anchor})"
        if (ROOT / name).exists():
            return text
        return match.group(0)

    parts = _FENCED.split(markdown)
    return "".join(part if n % 2 else _LINK.sub(moved, part) for n, part in enumerate(parts))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Let the page take its script from the site."""
    return _FETCHED.sub(get_relative_url(_OWN, page.url), output)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """The same for pages without a source, such as 404.html."""
    return _FETCHED.sub(get_relative_url(_OWN, template_name), output_content)
