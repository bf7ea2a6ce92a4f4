"""Numbers that have a name: `x1`, `x_min`, `left`, `width`, ... and the box that they give.

Names are compared as `plain` returns them: in lower case, without underscores, dashes and spaces.
"""

from collections.abc import Mapping

from reward_fns.boxes.box import Box, box_of

_EDGES = (
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("left", "top", "right", "bottom"),
)
_ORIGINS = (("x", "y"), ("x1", "y1"), ("x0", "y0"), ("xmin", "ymin"), ("minx", "miny"), ("left", "top"))
_SIZES = (("w", "h"), ("width", "height"))
_BY_NAMES = {frozenset(names): names for names in _EDGES} | {
    frozenset((*origin, *size)): (*origin, *size) for origin in _ORIGINS for size in _SIZES
}
_SIZE_NAMES = frozenset(name for size in _SIZES for name in size)
_OF_A_POLYGON = frozenset(("x3", "y3", "x4", "y4"))  # beside which the first two corners are no box
COORDINATES = frozenset(name for names in _BY_NAMES for name in names) | _OF_A_POLYGON
NOT_CORNERS = _SIZE_NAMES | {"x", "y", "cx", "cy", "xc", "yc", "size", "dimensions"}  # a number of these is no corner's
_OPPOSITE_CORNERS = (
    ("topleft", "bottomright"),
    ("lefttop", "rightbottom"),
    ("upperleft", "lowerright"),
    ("bottomleft", "topright"),
    ("lowerleft", "upperright"),
    ("tl", "br"),
    ("p1", "p2"),
    ("point1", "point2"),
    ("start", "end"),
    ("min", "max"),
)


def plain(name: str) -> str:
    """Return a name in lower case, with its letters and digits only."""
    return "".join(filter(str.isalnum, name.lower()))


def box_of_names(numbers: Mapping[str, float]) -> Box | None:
    """Return the box of numbers by plain name; None if they are not four corners, or a corner and a size.

    A width and a height beside four corners may be those of the image, and are left out. A negative size gives None.
    """
    names = _BY_NAMES.get(frozenset(numbers)) or _BY_NAMES.get(frozenset(numbers) - _SIZE_NAMES)
    if names is None:
        return None
    a, b, c, d = (numbers[name] for name in names)
    if names[2] not in _SIZE_NAMES:
        return box_of((a, b, c, d))
    return box_of((a, b, a + c, b + d)) if c >= 0 and d >= 0 else None


def corners_of(fields: Mapping[str, object]) -> tuple[object, object] | None:
    """Return the values of two opposite corners among values by plain name, such as `topleft` and `bottomright`."""
    for first, second in _OPPOSITE_CORNERS:
        if first in fields and second in fields:
            return fields[first], fields[second]
    return None
