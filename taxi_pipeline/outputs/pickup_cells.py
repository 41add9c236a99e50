"""Pickups of a month counted in cells of about 20 × 20 metres, by their published coordinates, and their picture.

Until June 2016 files held coordinates. The cells are the pixels of a fixed frame around the city, so pictures of
different months lie exactly over each other. Maps of zones, which all months have, are in `maps`.

The database counts: it gives a number for each cell with pickups, so that no trip passes through Python, whatever the
engine. Of 14 million trips that took 0.7 s of a processor and 0.3 GB, numpy's `histogram2d` of batches 5.7 s and 0.7
GB. datashader would want them in a data frame, and brings numba and LLVM.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from taxi_pipeline.outputs.geometry import Plane
from taxi_pipeline.outputs.maps import vehicles_in_words
from taxi_pipeline.outputs.style import DPI, SYNTHETIC_NOTE, own_style, png_of
from taxi_pipeline.tlc.months import Days
from taxi_pipeline.warehouse.coverage import EmptyWindowError, loaded_days, not_loaded
from taxi_pipeline.warehouse.interface import Session

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

LAST_DAY_WITH_COORDINATES = date(2016, 6, 30)
"""Files of later months were published with zones from the first."""

FRAME = (-74.27, 40.49, -73.69, 40.93)
"""West, south, east and north of the picture in degrees: the five boroughs and Newark Airport, 49 × 49 km."""

# A plane, and not web Mercator: a coordinate becomes a cell by a subtraction and a multiplication, which give the same
# bits on every engine, where logarithms and tangents do not. Across the city the two differ by a third of a percent.
PLANE = Plane(FRAME, 2400)
WIDTH, HEIGHT = round(PLANE.width), round(PLANE.height)
"""Cells from west to east, and from north to south."""

MOST = 10_000
"""Pickups a month in a cell from which on the colour stays the same."""

_NO_COORDINATES, _OUTSIDE = -1, -2
"""Numbers of no cell: trips without coordinates, and outside of the frame."""

# 0 is what a meter without a signal records. The comparisons are of numbers with fractions, because an odd coordinate
# may be no whole number of any type; NaN is greater than all numbers.
_CELLS_SQL = f"""
SELECT cell, count(*) AS num_trips
FROM (
    SELECT CASE
        WHEN coalesce(longitude, 0) = 0 OR coalesce(latitude, 0) = 0 THEN {_NO_COORDINATES}
        WHEN x >= 0 AND x < {WIDTH} AND y >= 0 AND y < {HEIGHT}
            THEN CAST(floor(y) AS INTEGER) * {WIDTH} + CAST(floor(x) AS INTEGER)
        ELSE {_OUTSIDE}
    END AS cell
    FROM (
        SELECT pickup_longitude AS longitude, pickup_latitude AS latitude,
            (pickup_longitude - ?) * ? AS x, (? - pickup_latitude) * ? AS y
        FROM trips
        WHERE fleet = ? AND pickup_date BETWEEN ? AND ?
    ) AS places
) AS cells
GROUP BY cell
ORDER BY cell
"""


@dataclass(frozen=True)
class FleetPickups:
    """What became of a fleet's trips of a month; the three numbers add up to its trips."""

    num_drawn: int
    num_without_coordinates: int
    """Trips without coordinates, or with 0, which a meter without a signal records."""
    num_outside: int
    """Trips with coordinates outside of the frame."""


@dataclass(frozen=True)
class PickupCells:
    """The pickups of a month by cell."""

    month: date
    """First day of the month."""
    counts: "NDArray[np.int64]"
    """`HEIGHT` × `WIDTH`: rows from north to south, columns from west to east. All zero without coordinates."""
    fleets: Mapping[str, FleetPickups]
    """Name of each fleet with loaded days → its trips."""
    missing_days: Sequence[tuple[str, date]]
    """Fleets and days that are published and not loaded."""
    synthetic: bool

    @property
    def num_drawn(self) -> int:
        """The trips that are on the picture."""
        return sum(fleet.num_drawn for fleet in self.fleets.values())

    @property
    def drawn_fleets(self) -> list[str]:
        """The fleets with coordinates."""
        return [name for name, fleet in self.fleets.items() if fleet.num_drawn or fleet.num_outside]


def picture_file(month: date) -> str:
    """The name of the month's picture in the storage."""
    return f"outputs/pickup_image/{month:%Y-%m}.png"


def pickup_cells(session: Session, month: date, fleets: Sequence[str]) -> PickupCells:
    """Count the pickups of a month by cell.

    Args:
        session: the warehouse.
        month: first day of the month.
        fleets: names of the fleets to count together.

    Raises:
        EmptyWindowError: no day of the month is loaded.
    """
    import numpy as np

    days = Days.of_month(month)
    loaded = loaded_days(session, days, fleets)
    if not loaded:
        raise EmptyWindowError(f"no day of {month:%Y-%m} is loaded: materialize its days first")
    counts = np.zeros(WIDTH * HEIGHT, dtype=np.int64)
    found: dict[str, FleetPickups] = {}
    (west, _, _, north), (x_scale, y_scale) = FRAME, PLANE.pixels_per_degree
    for fleet in (name for name in fleets if any(name == of for of, _ in loaded)):
        rows = session.table(_CELLS_SQL, [west, x_scale, north, y_scale, fleet, days.first, days.last])
        cells, trips = (rows[name].to_numpy().astype(np.int64) for name in ("cell", "num_trips"))
        inside = cells >= 0
        counts[cells[inside]] += trips[inside]  # each cell stands once
        found[fleet] = FleetPickups(
            int(trips[inside].sum()), int(trips[cells == _NO_COORDINATES].sum()), int(trips[cells == _OUTSIDE].sum())
        )
    return PickupCells(
        month, counts.reshape(HEIGHT, WIDTH), found, not_loaded(loaded, days, fleets), any(loaded.values())
    )


_TOP, _BOTTOM = 210, 150
"""Height in pixels of the bands with text above and below the cells, so that no text hides one."""
_LIGHT, _DIM, _WARNING = "#f2f2f2", "#a9a9b4", "#ff9a8f"
"""Colours of text on black."""
_COLORMAP, _DARKEST = "inferno", 0.3
"""matplotlib's colours, without the darkest, which could not be told from black. Lightness rises throughout."""
_NUM_LEVELS = 200
_KEY_LEFT, _KEY_BOTTOM, _KEY_WIDTH, _KEY_HEIGHT = WIDTH - 900, 62, 780, 22
"""Pixels from the left and the lower edge, and the size, of the colours of the key."""
_SCALE_KM = 10
_KM_PER_DEGREE = 111.2


def draw_pickups(cells: PickupCells) -> bytes:
    """Draw a month's pickups as light on black, each cell a pixel, as a PNG.

    The colour is the logarithm of the count with the same borders for all months. Ranks (histogram equalization) would
    use the colours better, but give a colour another meaning in each month, and a key without a rule.

    Args:
        cells: what is drawn, with at least one pickup.

    Returns:
        The PNG's bytes, the same for the same counts.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    with own_style():
        size = (WIDTH / DPI, (HEIGHT + _TOP + _BOTTOM) / DPI)
        figure = Figure(figsize=size, dpi=DPI, facecolor="black")
        _write_texts(figure, cells)
        _write_key(figure)
        _draw_scale(figure)
        around = png_of(figure)
    # matplotlib would resample the pixels, to the same ones, which takes most of the time.
    with Image.open(io.BytesIO(around)) as opened:
        image = opened.convert("RGB")
    image.paste(Image.fromarray(_colours(cells.counts)), (0, _TOP))
    image.paste(Image.fromarray(_key_colours()), (_KEY_LEFT, image.height - _KEY_BOTTOM - _KEY_HEIGHT))
    png = io.BytesIO()
    image.save(png, format="PNG")
    return png.getvalue()


def level_borders() -> "NDArray[np.int64]":
    """The least count of each level, as whole numbers, so that no rounding decides on a colour."""
    import numpy as np

    return np.ceil(MOST ** (np.arange(_NUM_LEVELS) / (_NUM_LEVELS - 1)) - 1e-6).astype(np.int64)


def _palette() -> "NDArray[np.uint8]":
    """Black, and the colour of each level, as red, green and blue."""
    import numpy as np
    from matplotlib import colormaps

    shades = colormaps[_COLORMAP](np.linspace(_DARKEST, 1, _NUM_LEVELS), bytes=True)[:, :3]
    return np.concatenate([np.zeros((1, 3), dtype=np.uint8), shades])


def _colours(counts: "NDArray[np.int64]") -> "NDArray[np.uint8]":
    import numpy as np

    return _palette()[np.searchsorted(level_borders(), counts, side="right")]


def _write_texts(figure: "Figure", cells: PickupCells) -> None:
    height = HEIGHT + _TOP + _BOTTOM

    def write(x: int, y: int, text: str, size: float, color: str = _LIGHT, **style: Any) -> None:
        figure.text(x / WIDTH, y / height, text, fontsize=size, color=color, **style)

    title = f"Where {vehicles_in_words(cells.drawn_fleets)} pick up in New York"
    write(48, height - 84, title, 27, weight="bold")
    write(48, height - 138, f"{_period(cells)} · {_number(cells.num_drawn, 'pickup')}", 18)
    write(48, height - 184, _not_drawn(cells), 12.5, _DIM)
    if cells.synthetic:
        write(48, 34, SYNTHETIC_NOTE, 15, _WARNING, weight="bold")
    else:
        write(48, 34, "Source: NYC Taxi and Limousine Commission, trip records", 12.5, _DIM)


def _period(cells: PickupCells) -> str:
    missing = len({day for _, day in cells.missing_days})
    return f"{cells.month:%B %Y}" + (f" ({_number(missing, 'day')} not loaded)" if missing else "")


def _not_drawn(cells: PickupCells) -> str:
    drawn = [cells.fleets[name] for name in cells.drawn_fleets]
    without = sum(fleet.num_without_coordinates for fleet in drawn)
    outside = sum(fleet.num_outside for fleet in drawn)
    return f"Not drawn: {_number(without, 'trip')} without coordinates, {outside:,} outside of this picture"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _key_colours() -> "NDArray[np.uint8]":
    import numpy as np

    levels = np.arange(_KEY_WIDTH) * _NUM_LEVELS // _KEY_WIDTH + 1
    return np.repeat(_palette()[levels][None], _KEY_HEIGHT, axis=0)


def _write_key(figure: "Figure") -> None:
    """Write below the colours of the key the counts at which they stand, and above them what is counted."""
    height = HEIGHT + _TOP + _BOTTOM
    for count in (1, 10, 100, 1_000, MOST):
        x = _KEY_LEFT + _KEY_WIDTH * math.log(count) / math.log(MOST)
        words = f"{count:,}{' or more' if count == MOST else ''}"
        figure.text(x / WIDTH, 34 / height, words, fontsize=11, color=_LIGHT, ha="center")
    what = "Pickups of the month in a cell of 20 × 20 metres"
    figure.text(_KEY_LEFT / WIDTH, 98 / height, what, fontsize=12.5, color=_LIGHT)


def _draw_scale(figure: "Figure") -> None:
    """Draw a distance, to the left of the key."""
    from matplotlib.patches import Rectangle

    length = _SCALE_KM / _KM_PER_DEGREE * PLANE.pixels_per_degree[1]
    left, height = WIDTH - 1520, HEIGHT + _TOP + _BOTTOM
    figure.add_artist(Rectangle((left / WIDTH, 66 / height), length / WIDTH, 5 / height, color=_LIGHT, linewidth=0))
    figure.text(left / WIDTH, 34 / height, f"{_SCALE_KM} km", fontsize=11, color=_LIGHT)
