"""The README, walked in a real browser from `make demo` to the explorer, without a step of its own.

The demo is made in a folder of its own, by the README's commands; what the README says to click is clicked. It has
fewer trips than the README's: `ci.yml` makes the large one.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taxi_pipeline_tests.browsers import browser_or_skip, open_explorer, wait_for_explorer
from taxi_pipeline_tests.conftest import REPOSITORY, SETTINGS
from taxi_pipeline_tests.running_dagster import ask, running_ui, wait_for
from taxi_pipeline_tests.services.servers import free_ports

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
FIVE_MINUTES = README.split("## Five minutes in the UI\n")[1].split("\n## ")[0]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of `make` with which the demo was made: its folder and its ports."""
    if not (REPOSITORY / ".venv" / ".ready-demo").is_file() or shutil.which("make") is None:
        pytest.skip("make, or the .venv that it sets up, is missing")
    folder = tmp_path_factory.mktemp("demo")
    port, pages_port = free_ports(2)
    variables = {"DEMO": os.path.relpath(folder, REPOSITORY), "PORT": str(port), "PAGES_PORT": str(pages_port)}
    variables["TRIPS_PER_DAY"] = "3000"
    assert "\nmake demo " in README
    result = subprocess.run(
        make("demo", variables), cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return variables


def make(target: str, variables: dict[str, str]) -> list[str]:
    return ["make", target, *(f"{name}={value}" for name, value in variables.items())]


def environment() -> dict[str, str]:
    """The environment of a new terminal."""
    return {name: value for name, value in os.environ.items() if name not in (*SETTINGS, "DAGSTER_HOME", "MAKEFLAGS")}


@pytest.fixture(scope="module")
def ui(made: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the UI that `make demo-ui` opens; afterwards it began without a warning."""
    assert "\nmake demo-ui\n" in README
    log = tmp_path_factory.mktemp("log") / "demo-ui.log"
    command = make("demo-ui", made)
    with running_ui(command, int(made["PORT"]), environment(), log, folder=REPOSITORY) as url:
        begun = log.read_text()
        assert not [
            line for line in begun.splitlines() if re.search("warning|superseded|deprecat", line, re.IGNORECASE)
        ]
        yield url


@pytest.fixture(scope="module")
def browser(ui: str) -> "Iterator[Browser]":
    with browser_or_skip() as opened:
        yield opened


class Reader:
    """A reader of the README: clicks what is named there, and only that.

    Args:
        page: of the browser.
    """

    def __init__(self, page: "Page") -> None:
        self.page = page

    def named(self, words: str) -> str:
        """Words as they stand in the README."""
        assert words in " ".join(FIVE_MINUTES.split()), f"the README does not name {words}"
        return words

    def navigate(self, words: str) -> None:
        """Click an entry of the navigation."""
        name = self.named(f"*{words}*").strip("*")
        self.page.locator("a").filter(has=self.page.get_by_text(name, exact=True)).first.click()

    def click(self, words: str) -> None:
        """Click a button."""
        name = self.named(f"*{words}*").strip("*")
        self.page.get_by_text(name, exact=True).first.click()

    def open(self, name: str) -> None:
        """Click the name of an asset, a job or a schedule."""
        self.page.get_by_text(self.named(f"`{name}`").strip("`"), exact=True).first.click()

    def choose(self, partitions: str) -> None:
        """Type partitions into the dialog's field."""
        field = self.page.get_by_role("dialog").locator("input[type=text]").first
        field.fill(self.named(f"`{partitions}`").strip("`"))
        field.press("Enter")


@pytest.fixture
def reader(browser: "Browser", ui: str) -> "Iterator[Reader]":
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(30_000)
    page.goto(ui)
    yield Reader(page)
    page.close()


def runs(ui: str) -> list[dict[str, Any]]:
    """Newest first."""
    query = "{ runsOrError { ... on Runs { results { jobName status tags { key value } } } } }"
    return ask(ui, query)["runsOrError"]["results"]


def test_look_around(reader: Reader, browser: "Browser") -> None:
    """Step 1."""
    page = reader.page
    reader.navigate("Overview")
    page.get_by_text("daily_trips", exact=True).first.wait_for()
    reader.navigate("Lineage")
    page.locator("svg").get_by_text("metrics", exact=True).first.click()
    reader.open("manhattan_map")
    reader.click("View in Asset Catalog")
    page.wait_for_url("**/assets/manhattan_map**")
    reader.named("`preview`")
    page.get_by_text(reader.named("*Show Markdown*").strip("*")).first.click()
    picture = page.get_by_role("dialog").locator("img")
    picture.wait_for()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 100
    page.keyboard.press("Escape")
    reader.named("`open`")
    link = page.locator("a", has_text="manhattan_map.png").first.get_attribute("href")
    shown = browser.new_page()
    answer = shown.goto(str(link))
    assert answer
    assert answer.headers["content-type"] == "image/png"
    shown.close()


def test_load_a_day_and_a_range(reader: Reader, ui: str) -> None:
    """Steps 2 and 3."""
    page = reader.page
    before = len(runs(ui))
    reader.navigate("Jobs")
    reader.open("daily_trips")
    reader.click("Materialize all…")
    reader.choose("2025-01-07")
    reader.click("Launch 1 run")
    wait_for("the run", lambda: len(runs(ui)) == before + 1 and runs(ui)[0]["status"] == "SUCCESS")
    assert {"key": "dagster/partition", "value": "2025-01-07"} in runs(ui)[0]["tags"]

    page.keyboard.press("Escape")
    reader.click("Materialize all…")
    reader.choose("[2025-01-05...2025-01-12]")
    assert page.get_by_text(
        reader.named("*Backfill only failed and missing partitions within selection*").strip("*")
    ).is_visible()
    reader.click("Launch backfill")
    reader.navigate("Runs")
    page.locator("[role=tab], a, button").get_by_text(reader.named("*Backfills*").strip("*"), exact=True).first.click()
    page.wait_for_url("**view=backfills**")
    page.get_by_text("8 partitions").first.wait_for()
    wait_for("the backfill", lambda: len(runs(ui)) == before + 2 and runs(ui)[0]["status"] == "SUCCESS")
    tags = {tag["key"]: tag["value"] for tag in runs(ui)[0]["tags"]}
    assert tags["dagster/asset_partition_range_start"] == "2025-01-05"
    assert tags["dagster/asset_partition_range_end"] == "2025-01-12"


def test_make_one_asset(reader: Reader, ui: str) -> None:
    """Step 4."""
    before = len(runs(ui))
    reader.navigate("Catalog")
    reader.open("city_map")
    reader.page.wait_for_url("**/assets/city_map**")
    reader.page.get_by_role("button", name=reader.named("*Materialize*").strip("*")).first.click()
    wait_for("the run", lambda: len(runs(ui)) == before + 1 and runs(ui)[0]["status"] == "SUCCESS")


def switch_of(page: "Page", name: str) -> tuple[float, float] | None:
    """The place of the switch in the line of a name; None while the page draws its list anew."""
    line = page.get_by_text(name, exact=True).first.bounding_box()
    middles = page.locator("label[class*=formatSwitch]:has(input:enabled)").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect()).map(b => [b.x + b.width / 2, b.y + b.height / 2])"
    )
    for x, y in middles:
        if line and line["y"] - 5 <= y <= line["y"] + line["height"] + 15:
            return x, y
    return None


def test_switch_on_the_schedules(reader: Reader, ui: str) -> None:
    """Step 5."""
    page = reader.page
    reader.navigate("Automation")
    page.get_by_text("daily_refresh", exact=True).first.wait_for()

    def running() -> set[str]:
        schedules = "schedules { name scheduleState { status } }"
        query = f"{{ repositoriesOrError {{ ... on RepositoryConnection {{ nodes {{ {schedules} }} }} }} }}"
        nodes = ask(ui, query)["repositoriesOrError"]["nodes"]
        return {each["name"] for each in nodes[0]["schedules"] if each["scheduleState"]["status"] == "RUNNING"}

    for name in ("daily_observation", "daily_refresh"):
        reader.named(f"`{name}`")
        for _ in range(30):
            if name in running():
                break
            if place := switch_of(page, name):
                page.mouse.click(*place)
            page.wait_for_timeout(2_000)
    assert running() == {"daily_observation", "daily_refresh"}


def test_the_report_and_the_explorer_open_from_the_ui(reader: Reader, ui: str, browser: "Browser") -> None:
    """Both open by their links, and from one to the other, as in the README's pictures."""
    page = reader.page
    page.goto(f"{ui}/assets/zone_explorer?view=overview")
    link = page.locator("a", has_text="zone_explorer.html").first.get_attribute("href")
    shown = browser.new_page()
    open_explorer(shown, str(link))
    assert shown.locator("#map path[aria-label]").count() == 263
    assert shown.locator("#title").inner_text() == "Pickups of all fleets, weeks of 2024-12-01 to 2025-01-26"
    shown.goto(str(link).replace("zone_explorer.html", "reports/2025-01.html"))
    assert "January 2025 had" in shown.locator("#finding").inner_text()
    shown.get_by_text("December 2024", exact=False).first.click()
    assert "December 2024 had" in shown.locator("#finding").inner_text()
    shown.get_by_text("Explore the zones").click()
    wait_for_explorer(shown)
    assert shown.locator("#map path[aria-label]").count() == 263
    shown.close()


def test_the_demo_s_report_is_a_pdf_and_a_mail(made: dict[str, str]) -> None:
    """`make demo-mail`, as docs/delivery.md has it: the mail is what a mail program would show."""
    (port,) = free_ports(1)
    result = subprocess.run(
        [*make("demo-mail", made), f"MAIL_PORT={port}"],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    folder = REPOSITORY / made["DEMO"]
    (path,) = (folder / "mail" / "new").iterdir()
    assert f"The mail: {made['DEMO']}/mail/new/{path.name}" in result.stdout
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert mail["Subject"] == "New York by taxi, January 2025, synthetic data"
    pdf = (folder / "outputs" / "reports" / "2025-01.pdf").read_bytes()
    assert [part.get_content() for part in mail.iter_attachments()] == [pdf]
    assert pdf.startswith(b"%PDF-")
    page = (folder / "outputs" / "reports" / "2025-01.html").read_text()
    (finding,) = re.findall(r'<p class="finding" id="finding">(.*?)</p>', page)
    body = mail.get_body(("html",))
    assert body
    assert finding in body.get_content()


def test_what_the_readme_names_is_walked() -> None:
    """Every word in italics of the five minutes is clicked by a test above."""
    named = set(re.findall(r"(?<!\*)\*([^*\n]+(?:\n[^*\n]+)?)\*(?!\*)", FIVE_MINUTES))
    source = Path(__file__).read_text(encoding="utf-8")
    for words in named:
        plain = " ".join(words.split())
        assert f'"{plain}"' in source or f'"*{plain}*"' in source, f"no test clicks {plain}"


def test_the_readme_is_short() -> None:
    assert len(README.split()) < 1_200
