"""HTML pages out of templates, with everything escaped that a template does not mark as safe."""

from pathlib import Path
from typing import Any


def render(template: Path, **values: Any) -> str:
    """The page that a template makes of these values; a value that it lacks is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # For `tojson`: compact, and in the order of the values.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template(template.name).render(**values)
