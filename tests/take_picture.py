"""Makes the README's picture of the page again: `python tests/take_picture.py [FILE]`.

Needs the extra `dev` and a Chromium; see `test_page_in_browser.py`. Where pngquant is installed, it
makes the file a quarter of its size.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import requests
from playwright.sync_api import sync_playwright
from test_page_in_browser import chromium

from mockbm import MockServer

PICTURE = Path(__file__).parents[1] / "mockbm" / "web" / "page" / "screenshot.png"


def ask(server: MockServer, key: str = "abc12345", **parameters: str) -> None:
    """One request, whatever it gets."""
    url = f"{server.url}/api/releases"
    requests.get(url, params=parameters, headers={"X-ApiKey": key}, timeout=10)


def some_use(server: MockServer) -> None:
    """What a morning leaves behind."""
    server.open_session("empty", "nightly import")
    server.open_session("rate-limited", "checkout suite")
    server.use("flaky")
    ask(server, status="active", applicationName="TaxCalc")
    ask(server, key="abc1234")
    server.use("deploy-in-progress")
    ask(server, status="active", applicationName="TaxCalc")
    ask(server, key="abc12345@empty", status="active")
    ask(server, status="deployed", applicationName="TaxCalculator")
    ask(server, status="deployed", applicationName="TaxCalculator")
    ask(server, aplicationName="TaxCalculator")


def main(picture: Path) -> None:
    with MockServer(port=8080, clock="2024-03-05T09:00:00Z") as server, sync_playwright() as tool:
        some_use(server)
        browser = tool.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
        page.goto(f"{server.url}/__admin/")
        page.locator("#entries summary").nth(1).click()
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(1500)  # until nothing is highlighted any more
        page.screenshot(path=picture)
        browser.close()
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--output", picture, "256", picture], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
