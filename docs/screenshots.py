"""Renew the pictures in `docs/images/`: `make screenshots`, after `make demo`.

The map is the demo's own file; the other pictures are taken in a headless Chromium of the demo's report and explorer,
and of the Dagster UI on the demo's runs. Look at them before you commit them.
"""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from taxi_pipeline_tests.browsers import open_explorer, opened_browser
from taxi_pipeline_tests.running_dagster import dagster_dev

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).resolve().parents[1]
DEMO = REPOSITORY / "data" / "demo"
IMAGES = REPOSITORY / "docs" / "images"


def main() -> None:
    """Take them all."""
    if not (DEMO / "outputs" / "reports" / "2025-01.html").is_file():
        raise SystemExit(f"{DEMO} has no report: run make demo first")
    IMAGES.mkdir(exist_ok=True)
    shutil.copy(DEMO / "outputs" / "manhattan_map.png", IMAGES / "manhattan_map.png")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(DEMO),
        "TAXI_DATA_DIR": str(DEMO),
        "TLC_URL": (DEMO / "mirror").as_uri(),
        "TAXI_FLEETS": "yellow,green,fhvhv",
        "TAXI_START_DATE": "2024-12-01",
        "TAXI_END_DATE": "2025-01-31",
    }
    with opened_browser() as browser:
        with _page(browser, (1200, 1500)) as page:
            page.goto((DEMO / "outputs" / "reports" / "2025-01.html").as_uri())
            _keep(page, "monthly_report")
        explorer = (DEMO / "outputs" / "zone_explorer.html").as_uri()
        with _page(browser, (1300, 1150)) as page:
            open_explorer(page, f"{explorer}#show=pickups,all,hours 6-9&than=pickups,all,hours 20-23&zone=132")
            _keep(page, "zone_explorer")
        with _page(browser, (390, 844), dark=True) as page:
            open_explorer(page, f"{explorer}#borough=Manhattan")
            page.locator("#map").evaluate("map => map.scrollIntoView()")
            page.wait_for_timeout(500)
            _keep(page, "zone_explorer_phone")
        with dagster_dev(environment, DEMO / "screenshots.log") as url:
            with _page(browser, (1600, 900)) as page:
                page.goto(f"{url}/asset-groups")
                page.wait_for_timeout(5_000)
                page.get_by_text("Hide navigation").click()
                page.wait_for_timeout(3_000)
                page.reload()
                page.wait_for_timeout(8_000)  # the graph, one node for each group, moves into place
                _keep(page, "lineage")
            with _page(browser, (1440, 1500)) as page:
                page.goto(f"{url}/assets/zone_hourly_trips?view=overview")
                page.wait_for_timeout(8_000)  # one part is drawn after the other
                _keep(page, "asset_page")


@contextmanager
def _page(browser: "Browser", size: tuple[int, int], *, dark: bool = False) -> "Iterator[Page]":
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light")
    yield page
    page.close()


def _keep(page: "Page", name: str) -> None:
    """Save a picture of the window, with few colours, because it lies in the repository."""
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
