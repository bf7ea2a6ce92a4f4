"""HTML pages from Jinja2 templates: text is escaped unless a template produced it.

Every page extends `data_prep/html/base.html`, so that it is one file that loads nothing from elsewhere.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_ROOT = Path(__file__).parents[2]  # the folder that holds the packages


def render(template: str, **values: Any) -> Markup:
    """Render a template with the given values.

    Args:
        template: path below the folder that holds the packages, such as `data_prep/html/rows_page.html`.
        **values: everything that the template reads. Strings are escaped; the result of another `render` is not.

    Raises:
        jinja2.UndefinedError: the template reads a value that is not given.
    """
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_ROOT),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
