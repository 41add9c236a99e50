"""HTML pages made of templates. Every value is escaped unless a template marks it as safe."""

from pathlib import Path
from typing import Any


def render(template: Path, **values: Any) -> str:
    """Render a template with these values; a value that it lacks is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` writes compact JSON, in the order of the values.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment.get_template(template.name).render(**values)
