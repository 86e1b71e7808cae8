"""Take the picture of two tabs that README and documentation show: ``python -m docs.screenshots``, from the root."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.support import launch_chromium, running_example

IMAGE = Path(__file__).parent / "images" / "two-tabs.png"
TAB: ViewportSize = {"width": 560, "height": 560}
FRAME = """<!doctype html>
<style>
  body { margin: 0; padding: 20px; display: flex; gap: 20px; background: #cfd5e3 }
  figure { margin: 0; border-radius: 10px; overflow: hidden; background: #fff; box-shadow: 0 8px 30px #1a204033 }
  figcaption { padding: 8px 14px; background: #e8ebf2; font: 13px sans-serif; color: #4a5163 }
  figcaption::before { content: "● ● ●"; letter-spacing: 2px; margin-right: 14px; color: #b4bbca }
  img { display: block }
</style>
"""


def picture_two_tabs(browser: Browser, url: str) -> bytes:
    """Add a task in the left tab while somebody types in the right one, and return both as one picture."""
    context = browser.new_context(viewport=TAB)
    context.request.post(f"{url}/boards", form={"name": "Launch party"})
    for title in ("Book the band", "Send the invitations", "Taste the cake"):
        context.request.post(f"{url}/boards/launch-party/tasks", form={"title": title})
    left, right = (open_board(context.new_page(), url) for _ in range(2))
    expect(left.locator("#people")).to_have_text("2 people here")
    left.get_by_role("checkbox", name="Done: Send the invitations").click()
    right.get_by_label("New task").press_sequentially("Hang up the lan")
    left.get_by_label("New task").fill("Order 40 chairs")
    left.get_by_role("button", name="Add").click()
    expect(right.locator(".task-title").first).to_have_text("Order 40 chairs")
    expect(left.locator(".task-title").first).to_have_text("Order 40 chairs")
    tabs = [page.screenshot() for page in (left, right)]
    context.close()
    return framed(browser, tabs)


def open_board(page: Page, url: str) -> Page:
    page.goto(f"{url}/boards/launch-party")
    return page


def framed(browser: Browser, tabs: list[bytes]) -> bytes:
    page = browser.new_page(viewport={"width": 2 * TAB["width"] + 60, "height": 100})
    page.set_content(
        FRAME
        + "".join(
            f"<figure><figcaption>Launch party</figcaption>"
            f'<img src="data:image/png;base64,{b64encode(tab).decode()}"></figure>'
            for tab in tabs
        )
    )
    return page.screenshot(full_page=True)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_example(Path(folder) / "taskboard.sqlite3") as server,
        sync_playwright() as playwright,
    ):
        browser = launch_chromium(playwright)
        IMAGE.write_bytes(picture_two_tabs(browser, server.url))
        browser.close()


if __name__ == "__main__":
    main()
