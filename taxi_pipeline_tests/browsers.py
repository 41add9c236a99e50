"""A real browser, headless: for the tests of the HTML pages and the pictures in the documentation."""

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class NoBrowserError(RuntimeError):
    """There is no browser, or nothing to drive one with."""


@contextmanager
def opened_browser() -> "Iterator[Browser]":
    """The installed Chromium, without a window and without connections of its own.

    Raises:
        NoBrowserError: there is none.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowserError("playwright is not installed (extra `test`)") from error
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise NoBrowserError(f"none of {', '.join(BROWSERS)} is installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@contextmanager
def browser_or_skip() -> "Iterator[Browser]":
    """Give an opened browser to a test; skip the test, with the reason, where there is none."""
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(opened_browser())
        except NoBrowserError as error:
            pytest.skip(f"no browser: {error}")
        yield browser


def open_explorer(page: "Page", url: str) -> None:
    """Open the zone explorer, and wait until all its numbers are unpacked and shown."""
    page.goto(url)
    wait_for_explorer(page)


def wait_for_explorer(page: "Page") -> None:
    """Wait until all numbers of the explorer that a page opens are unpacked and shown."""
    page.wait_for_selector("body[data-unpacked=all]")


LOOKS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1440, "height": 1000}},
    "phone": {"viewport": {"width": 390, "height": 844}},
    "dark": {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "dark"},
}
"""What a page may be looked at with, beside paper."""


def barriers(page: "Page") -> list[str]:
    """What keeps people with a screen reader, a keyboard or weak eyes from a page, as axe finds it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


def barriers_in_any_look(browser: "Browser", url: str, prepare: "Callable[[Page], object]") -> dict[str, list[str]]:
    """Look → the barriers of a page, without looks that have none.

    Args:
        browser: an opened one.
        url: address of the page.
        prepare: waits until the page is whole, or opens what is closed in it.
    """
    found = {}
    for look, options in LOOKS.items():
        page = browser.new_page(**options)
        page.goto(url)
        prepare(page)
        found[look] = barriers(page)
        if look == "desk":
            page.emulate_media(media="print")
            found["paper"] = barriers(page)
        page.close()
    return {look: each for look, each in found.items() if each}
