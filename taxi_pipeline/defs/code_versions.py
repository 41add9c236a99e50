"""The code version of an asset: a hash of the source that makes it. When it changes, the UI shows the asset as stale.

It covers the asset's function, what the function uses of its own module, and the modules and templates of this package
that these import, directly or by way of others. Comments, docstrings and empty lines do not count. Two things are left
out: `defs`, which decides when an asset is made and what the UI shows of it, and what only moves bytes (`_PLUMBING`).

The text is taken as it stands in the files, so that a version is the same on every Python and in an installed package.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import dagster as dg

_PACKAGE = Path(__file__).parents[1]

_PLUMBING = (
    "taxi_pipeline.defs",
    "taxi_pipeline.errors",
    "taxi_pipeline.settings",
    "taxi_pipeline.storage",
    "taxi_pipeline.tlc.download",
    "taxi_pipeline.tlc.http_transfer",
    "taxi_pipeline.warehouse.interface",
)
"""Modules and folders that are not followed: they decide how bytes are moved, and not which."""

_MADE_BY = {
    "borough_flows": ("warehouse/rollups.py", "replace_flows"),
    "taxi_trips": ("defs/assets/warehouse_tables.py", "_load"),
    "trip_request": ("defs/assets/requests.py", "draw_requests"),
    "zone_hourly_trips": ("warehouse/rollups.py", "replace_counts"),
}
"""Asset → the file and the function that makes it, where that is not the asset's own function."""

_ALSO_MADE_BY = {"taxi_trips": "taxi_pipeline.warehouse.typing.published_view"}
"""Asset → the module that makes its values and is reached through an interface alone."""

_TEMPLATES = (".jinja", ".js", ".csv")


def with_code_version(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The same asset with its code version; as it is when it has one, or is not defined in this package."""
    name = spec.key.to_user_string()
    found = _MADE_BY.get(name) or _defined_at(spec)
    if spec.code_version or found is None:
        return spec
    file, function = found
    return spec.replace_attributes(code_version=code_version(_PACKAGE / file, function, _ALSO_MADE_BY.get(name)))


def code_version(file: Path, function: str | int, also: str | None = None) -> str:
    """Hash all that a function of a module runs; returns twelve digits.

    Args:
        file: the module of the function.
        function: its name, or a line of it.
        also: another module that is part of it.
    """
    parts, imported = _of_function(file, function)
    modules = _closure([*imported, *([also] if also else [])])
    texts = [*parts, *(part for name in sorted(modules) for part in (name, *_content(modules[name])))]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _defined_at(spec: dg.AssetSpec) -> tuple[str, int] | None:
    """The file, from the package on, and the line of an asset's function."""
    references = spec.metadata.get("dagster/code_references")
    for reference in references.code_references if isinstance(references, dg.CodeReferencesMetadataValue) else ():
        if isinstance(reference, dg.LocalFileCodeReference) and reference.line_number:
            path = Path(reference.file_path)
            if path.is_relative_to(_PACKAGE / "defs") and path.suffix == ".py":
                return str(path.relative_to(_PACKAGE)), reference.line_number
    return None


def _of_function(file: Path, function: str | int) -> tuple[list[str], set[str]]:
    """The text of a function and of what it uses of its module, and the names that these import."""
    lines, defined, imports = _top_level(file)
    names = defined if isinstance(function, int) else [function]
    wanted = [name for name in names if not isinstance(function, int) or function in _lines_of(defined[name])]
    seen, found = set[str](), set[str]()
    while wanted:
        name = wanted.pop()
        found |= imports.get(name, set())
        if name in defined and name not in seen:
            seen.add(name)
            body = defined[name]
            inside = body.body if isinstance(body, ast.FunctionDef | ast.ClassDef) else [body]
            nodes = [node for part in inside for node in ast.walk(part)]
            wanted += [node.id for node in nodes if isinstance(node, ast.Name)]
            found |= {
                name
                for node in nodes
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
                for name in _names_of(node, alias)
            }
    texts = ["\n".join(lines[defined[name].lineno - 1 : defined[name].end_lineno]) for name in sorted(seen)]
    return [_without_comments(text) for text in texts], found


@cache
def _top_level(file: Path) -> tuple[list[str], dict[str, ast.stmt], dict[str, set[str]]]:
    """A module's lines; the statements that define its functions, classes and constants; what its names import."""
    source = file.read_text(encoding="utf-8")
    defined: dict[str, ast.stmt] = {}
    imports: dict[str, set[str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            imports |= {alias.asname or alias.name: _names_of(node, alias) for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return source.splitlines(), defined, imports


def _lines_of(node: ast.stmt) -> range:
    """The lines of a definition with its decorators."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return range(min([node.lineno, *(found.lineno for found in decorators)]), (node.end_lineno or node.lineno) + 1)


def _names_of(node: ast.ImportFrom, alias: ast.alias) -> set[str]:
    return {str(node.module), f"{node.module}.{alias.name}"}


def _closure(names: Iterable[str]) -> dict[str, Path]:
    """The modules of the package under these names, and those that they import, but for plumbing."""
    found: dict[str, Path] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        path = None if name in found or _is_plumbing(name) else _path_of(name)
        if path:
            found[name] = path
            wanted += _imports_of(path)
    return found


def _is_plumbing(name: str) -> bool:
    return any(f"{name}.".startswith(f"{plumbing}.") for plumbing in _PLUMBING)


def _path_of(name: str) -> Path | None:
    """The file of a module of this package; None for a package without code, and for anything else."""
    package, *parts = name.split(".")
    if package != _PACKAGE.name or not parts:
        return None
    path = _PACKAGE.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


_IMPORT = re.compile(rf"^\s*from ({_PACKAGE.name}[\w.]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


@cache
def _imports_of(path: Path) -> frozenset[str]:
    """The names that a module imports from this package, anywhere in it."""
    found = _IMPORT.findall(path.read_text(encoding="utf-8"))
    return frozenset(
        name
        for module, names in found
        for name in (module, *(f"{module}.{part}" for part in re.findall(r"\w+", names)))
    )


@cache
def _content(path: Path) -> tuple[str, ...]:
    """A module's text that counts, and the templates beside it that it names."""
    text = path.read_text(encoding="utf-8")
    beside = sorted(other for other in path.parent.iterdir() if other.suffix in _TEMPLATES and other.name in text)
    return _without_comments(text), *(other.read_text(encoding="utf-8") for other in beside)


def _without_comments(text: str) -> str:
    """Source without docstrings, comments and empty lines, as `ruff format` lays them out."""
    return "\n".join(_lines_that_count(text))


def _lines_that_count(text: str) -> Iterator[str]:
    *pieces, last = text.split('"""')
    code, is_docstring = "", False
    for number, piece in enumerate(pieces):
        is_inside = number % 2
        if not is_inside:
            code += piece
            is_docstring = not piece.rpartition("\n")[2].strip()
        else:
            code += "" if is_docstring else f'"""{piece}"""'.replace("\n", "\0")
    for line in (code + last).splitlines():
        before, comment, _ = line.partition("  # ")
        is_comment = comment and before.count('"') % 2 == before.count("'") % 2 == 0
        bare = (before if is_comment else line).rstrip()
        if bare and not bare.lstrip().startswith("#"):
            yield bare.replace("\0", "\n")
