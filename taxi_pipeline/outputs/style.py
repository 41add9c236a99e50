"""The common style of all pictures: sizes, colours, notes, and how a figure becomes the bytes of a PNG.

Pictures are the same bytes for the same values: no time stamps, no fonts but matplotlib's own, no settings of the user.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_INCHES = 10
DPI = 150

WEEKDAYS = (
    ("Sunday", "#e8743b"),
    ("Monday", "#12305c"),
    ("Tuesday", "#1d4f91"),
    ("Wednesday", "#2f72b8"),
    ("Thursday", "#5a98d0"),
    ("Friday", "#8fbfe2"),
    ("Saturday", "#f3b08a"),
)
"""The weekdays in calendar order, with their colours: weekends warm, the other days from dark to light."""

INK = "#1c1c28"
MUTED = "#6b6b7b"
WARNING = "#b3261e"
SOURCE = "Source: NYC Taxi and Limousine Commission, trip records and taxi zones"
SYNTHETIC_NOTE = "SYNTHETIC DATA: generated trips"


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's defaults, whatever the user has configured.

    The backend can stay: a figure made without pyplot draws with Agg.
    """
    from matplotlib import rc_context, rcParams, rcParamsDefault

    with rc_context():
        rcParams.update({key: value for key, value in rcParamsDefault.items() if not key.startswith("backend")})
        rcParams["text.parse_math"] = False  # names of zones come from a file
        yield


def png_of(figure: "Figure") -> bytes:
    """Encode the figure as a PNG, without matplotlib's version in it."""
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()
