"""Make the pictures of the example that the README shows: ``python -m docs.screenshots``, from the root.

A short film of two people at once, and stills. Everything in them is the running example in Chromium; only the frames
around the windows are drawn.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.support import launch_chromium, running_example

__all__ = ["main"]

IMAGES = Path(__file__).parent / "images"
WINDOW = (800, 700)
SHOWN = (560, 490)  # a window's size in the film
GAP, BAR = 20, 34
PAUSE = 1.2  # seconds between a reply's words: the time to take two pictures, on a slow machine too
DESK = """<!doctype html>
<style>
  body {{ margin: 0; padding: {gap}px; display: flex; gap: {gap}px; background: #d6d0e4; font: 600 14px system-ui }}
  figure {{ margin: 0; width: {width}px; border-radius: 12px; overflow: hidden; box-shadow: 0 8px 30px #1a204040 }}
  figcaption {{ height: {bar}px; line-height: {bar}px; padding: 0 14px; background: #efecf6; color: #4a4258 }}
  figcaption::before {{ content: "● ● ●"; letter-spacing: 2px; margin-right: 14px; color: #c3bad6; font-weight: 400 }}
  div {{ height: {height}px }}
</style>
"""


@dataclass
class Film:
    """Two windows side by side, and the frames taken of them so far."""

    desk: Image.Image
    windows: tuple[Page, Page]
    frames: list[Image.Image] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)

    def take(self, milliseconds: int = 120) -> None:
        """Take a frame that is shown for so long."""
        frame = self.desk.copy()
        for number, window in enumerate(self.windows):
            frame.paste(picture_of(window).resize(SHOWN, Image.Resampling.LANCZOS), place_of(number))
        self.frames.append(frame)
        self.durations.append(milliseconds)

    def write(self, page: Page, label: str, text: str) -> None:
        """Film somebody who types."""
        field = page.get_by_label(label, exact=True)
        field.click()
        for start in range(0, len(text), 3):
            field.press_sequentially(text[start : start + 3])
            self.take(90)

    def roll(self, frames: int, milliseconds: int = 120) -> None:
        """Film what happens by itself."""
        for _ in range(frames):
            self.windows[0].wait_for_timeout(milliseconds)
            self.take(milliseconds)

    def save(self, path: Path) -> None:
        """Write the film as an animated WebP that runs for ever."""
        first, *others = self.frames
        first.save(path, save_all=True, append_images=others, duration=self.durations, loop=0, quality=72, method=6)


def picture_of(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def place_of(number: int) -> tuple[int, int]:
    return GAP + number * (SHOWN[0] + GAP), GAP + BAR


def desk(browser: Browser, *names: str) -> Image.Image:
    """Return what lies around the windows."""
    width, height = SHOWN
    page = browser.new_page(viewport={"width": len(names) * (width + GAP) + GAP, "height": height + BAR + 2 * GAP})
    windows = "".join(f"<figure><figcaption>{name}</figcaption><div></div></figure>" for name in names)
    page.set_content(DESK.format(gap=GAP, bar=BAR, width=width, height=height) + windows)
    picture = picture_of(page)
    page.close()
    return picture


def sign_in(
    browser: Browser, url: str, name: str, size: tuple[int, int] = WINDOW, scheme: str = "light"
) -> BrowserContext:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        base_url=url,
    )
    context.request.post("/sign-in", form={"name": name})
    return context


def open_page(context: BrowserContext, path: str) -> Page:
    page = context.new_page()
    page.goto(path)
    page.wait_for_timeout(400)  # for its stream to connect
    return page


def film(browser: Browser, url: str) -> None:
    """Film two people on a board, and then in the chat."""
    contexts = [sign_in(browser, url, name) for name in ("Ada", "Ben")]
    ada, ben = (open_page(context, "/boards/1") for context in contexts)
    reel = Film(desk(browser, "Ada", "Ben"), (ada, ben))
    reel.take(900)
    reel.write(ada, "New task", "Bring the lanterns")
    ada.get_by_role("button", name="Add").click()
    expect(ben.locator("#columns")).to_contain_text("Bring the lanterns")
    expect(ada.locator("#columns")).to_contain_text("Bring the lanterns")
    reel.take()
    reel.frames[-1].save(IMAGES / "two-tabs.png", optimize=True)
    reel.roll(9)
    ben.get_by_role("button", name="Start Order 40 chairs").click()
    expect(ada.get_by_role("button", name="Finish Order 40 chairs")).to_be_visible()
    reel.roll(10)
    for page in (ada, ben):
        page.goto("/chat")
        page.wait_for_timeout(400)
    reel.take(700)
    reel.write(ben, "Message", "@guide, how does this work?")
    ben.get_by_role("button", name="Send").click()
    expect(ada.locator(".message.guide")).to_be_visible()
    while ada.locator("[aria-busy]").count():
        reel.take(80)
        ada.wait_for_timeout(PAUSE * 500)
    reel.take(2500)
    reel.save(IMAGES / "together.webp")
    for context in contexts:
        context.close()


def stills(browser: Browser, url: str) -> Iterator[tuple[str, Image.Image]]:
    """Yield the pictures that stand still, by their names."""
    ada, ben = (sign_in(browser, url, name, (1000, 860)) for name in ("Ada", "Ben"))
    one, other = (open_page(context, "/documents/1") for context in (ada, ben))
    write(other, "The band plays from seven. We need 60 chairs.")
    write(one, "The band plays from six. We need 40 chairs.")
    one.get_by_role("button", name="Save").click()
    expect(other.locator("#version")).to_contain_text("Version 2")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_role("alert")).to_be_visible()
    yield "conflict", picture_of(other)

    phone = sign_in(browser, url, "Ben", (390, 780), "dark")
    board = open_page(ada, "/boards/1")
    board.get_by_role("link", name="Edit Write down").click()
    board.get_by_label("Who does it").select_option("Ben")
    board.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(board.get_by_role("dialog")).to_be_hidden()
    yield "phone", side_by_side([open_page(phone, path) for path in ("/boards/1", "/chat", "/notifications")])


def write(page: Page, sentence: str) -> None:
    page.get_by_label("Text", exact=True).fill(
        f"Plan for the summer fair\n\nThe fair is on the meadow.\n\n{sentence}\n"
    )


def side_by_side(pages: list[Page]) -> Image.Image:
    pictures = [picture_of(page) for page in pages]
    width, height = pictures[0].size
    whole = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "#d6d0e4")
    for number, picture in enumerate(pictures):
        whole.paste(picture, (number * (width + GAP), 0))
    return whole


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_example(Path(folder) / "workspace.sqlite3", EXAMPLE_PAUSE=str(PAUSE)) as server,
        sync_playwright() as playwright,
    ):
        browser = launch_chromium(playwright)
        film(browser, server.url)
        for name, picture in stills(browser, server.url):
            picture.save(IMAGES / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
