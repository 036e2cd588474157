"""The page at `/__admin/` in a real browser.

Needs Playwright (the extra `dev`) and a Chromium: that of MOCKBM_CHROMIUM, or one on the path. The
tests are skipped where one of the two is missing; with MOCKBM_REQUIRE_BROWSER=1 they fail instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from mockbm import MockServer
from mockbm.files.directory import shipped_scenarios

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

HOSTILE = [
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    "</textarea></title><svg onload=window.hacked=3>",
    "\u202egnihton ekil\u202c \u2066\u202eodd\u200f",
    "javascript:window.hacked=4",
    "{{7*7}}${7*7}<%= 7 %>",
    "x" * 280,
    "שחרור ראשון 税金計算機 🚀",
]
SCENARIOS = (
    *("deploy-in-progress", "documented", "empty", "every-status", "flaky", "many-applications"),
    *("rate-limited", "single", "unicode-and-odd-values"),
)
ODD_KEYS = {"quotes": "k'ey\"$(touch hacked)`x`\\", "spaces": "a key ' with $HOME & ü"}


def chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = (shutil.which(name) for name in names)
    return os.environ.get("MOCKBM_CHROMIUM") or next(filter(None, found), None)


def give_up(why: str) -> None:
    """Skip the test, or let it fail where a browser has to be there."""
    if os.environ.get("MOCKBM_REQUIRE_BROWSER"):
        pytest.fail(f"{why}, and MOCKBM_REQUIRE_BROWSER is set")
    pytest.skip(why)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests here."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        give_up("Playwright is not installed; it comes with the extra dev")
    path = chromium()
    if path is None:
        give_up("there is no Chromium; MOCKBM_CHROMIUM names one")
    with sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the scenarios that come with mockbm."""
    directory = tmp_path_factory.mktemp("scenarios")
    for name in SCENARIOS:
        shutil.copy(shipped_scenarios() / f"{name}.yaml", directory)
    return directory


@pytest.fixture
def server(directory: Path) -> Iterator[MockServer]:
    """A mock of this test's own."""
    with MockServer(directory) as server:
        yield server


Opener = Callable[..., "Page"]
WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
const later = window.setTimeout;
window.setTimeout = (run, pause) => later(run, pause < 5000 ? pause / 10 : pause);
"""
"""What each page runs first: it tells what it was not allowed, and looks ten times as often."""


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opener]:
    """Opens the page of a mock, as one person does it: further pages are tabs beside the first.

    In the end no page may have complained, or asked anything but its mock.
    """
    contexts: list[Any] = []
    complaints: list[str] = []
    asked: set[str] = set()
    servers: set[str] = set()

    def listen(page: Page) -> None:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.add(request.url))
        page.on(
            "console",
            lambda message: (
                # A status such as 401 is an answer here, and so is no answer.
                message.type in ("error", "warning")
                and not message.text.startswith("Failed to load resource:")
                and complaints.append(message.text)
            ),
        )

    def open_page(server: MockServer, **options: Any) -> Page:
        servers.add(f"{server.url}/")
        if not contexts or options:
            contexts.append(browser.new_context(**options))
            contexts[-1].add_init_script(WATCH)
        page: Page = contexts[-1].new_page()
        listen(page)
        page.goto(f"{server.url}/__admin/")
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert page.evaluate("window.hacked") is None
        context.close()
    assert complaints == []
    assert {url for url in asked if not url.startswith(tuple(servers))} == set()


def soon(locator: Locator) -> Any:
    """What is expected of a part of a page, within some seconds."""
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    return expect(locator)


def card(page: Page, name: str) -> Locator:
    """The card of one scenario."""
    return page.locator(".card").filter(has=page.locator("h3").get_by_text(name, exact=True))


def ask(server: MockServer, key: str = "abc12345", **parameters: str) -> requests.Response:
    """One request of a client elsewhere."""
    url, headers = f"{server.url}/api/releases", {"X-ApiKey": key}
    return requests.get(url, params=parameters, headers=headers, timeout=10)


def scenario_file(directory: Path, name: str, **values: Any) -> None:
    """Write one scenario file; JSON is YAML."""
    (directory / f"{name}.yaml").write_text(json.dumps(values), encoding="utf-8")


def release(id_: int, **values: Any) -> dict[str, Any]:
    """The smallest release."""
    required = {"number": f"1.{id_}", "applicationId": id_, "applicationName": "Shop"}
    return {"id": id_, **required, **values}


def test_shows_every_scenario(server: MockServer, open_page: Opener) -> None:
    """Each scenario has a card with what it is for, a picture in words; the active one says so."""
    page = open_page(server)
    soon(page.locator(".card")).to_have_count(len(server.mock.catalog.scenarios))
    documented = card(page, "documented")
    soon(documented).to_have_attribute("aria-current", "true")
    soon(page.locator(".card[aria-current=true]")).to_have_count(1)
    soon(documented).to_contain_text("The instance of the vendor's own page")
    picture = documented.get_by_role("img")
    soon(picture).to_have_attribute(
        "aria-label", "documented: 4 active, 2 deployed, 1 canceled, of 3 applications"
    )
    soon(picture.locator("rect")).to_have_count(7)
    soon(card(page, "flaky")).to_contain_text("1 fault")
    soon(page.locator("#now-name")).to_have_text("documented")
    shown = page.locator("#now").get_by_role("img")
    soon(shown).to_have_attribute("aria-label", picture.get_attribute("aria-label"))
    soon(page.locator("#now .curl")).to_have_text(
        f"curl -sS -H 'X-ApiKey: abc12345' '{server.url}/api/releases'"
    )


def test_searching(server: MockServer, open_page: Opener) -> None:
    """The search leaves the cards that have all its words, and says when none has."""
    page = open_page(server)
    soon(page.locator(".card")).to_have_count(len(server.mock.catalog.scenarios))
    search = page.get_by_label("Search the scenarios")
    search.fill("RESTART documented")
    soon(page.locator(".card h3")).to_have_text(["flaky"])
    search.fill("no such thing")
    soon(page.locator("#no-cards")).to_be_visible()
    search.fill("")
    soon(page.locator(".card")).to_have_count(len(server.mock.catalog.scenarios))


def test_switching(server: MockServer, open_page: Opener) -> None:
    """One click or key switches, the card is marked, and the focus stays where it was."""
    page = open_page(server)
    for number, way in enumerate(("mouse", "Enter", "Space"), 1):
        soon(card(page, "documented")).to_have_attribute("aria-current", "true")
        button = card(page, "empty").get_by_role("button", name="Switch")
        if way == "mouse":
            button.click()
        else:
            button.focus()
            page.keyboard.press(way)
        soon(card(page, "empty")).to_have_attribute("aria-current", "true")
        soon(card(page, "documented")).to_have_attribute("aria-current", "false")
        soon(page.get_by_role("status")).to_have_text("empty is now active")
        assert server.active == "empty"
        assert ask(server, releaseId=str(number)).json() == []
        soon(page.locator("#entries > li")).to_have_count(1)  # so the page has looked since
        soon(page.locator("#entries")).to_contain_text(f"releaseId={number}")
        soon(card(page, "empty").get_by_role("button", name="Restart")).to_be_focused()
        page.get_by_role("button", name="Reset session").click()
        soon(card(page, "documented")).to_have_attribute("aria-current", "true")
        assert server.active == "documented"


def test_restarting(server: MockServer, open_page: Opener) -> None:
    """The active scenario restarts where it is shown; one without a file cannot."""
    server.use("flaky")
    ask(server)
    page = open_page(server)
    soon(page.locator("#faults > li")).to_contain_text("met 1")
    restart = page.locator("#now").get_by_role("button", name="Restart scenario")
    restart.click()
    soon(page.locator("#faults > li")).to_contain_text("not met yet")
    soon(page.get_by_role("status")).to_have_text("flaky is restarted")
    assert server.active == "flaky"
    server.mock.default.use_values({"releases": [release(1), release(2)]})
    soon(page.locator("#now")).to_contain_text("Sent over HTTP, it has no file; 2 releases.")
    soon(restart).to_be_hidden()
    soon(page.locator(".card[aria-current=true]")).to_have_count(0)


def test_records(server: MockServer, open_page: Opener) -> None:
    """One click shows the records of a scenario, as it begins and as it is now."""
    page = open_page(server)
    records = page.get_by_role("dialog")
    kinds = records.locator("h3")
    when = page.locator("#records-when")
    card(page, "deploy-in-progress").get_by_role("button", name="Records").click()
    soon(page.locator("#records-title")).to_have_text("Records of deploy-in-progress")
    soon(kinds).to_have_text(["2 releases", "0 builds", "0 deployments", "1 application"])
    rows = page.locator("#records-releases > li")
    soon(rows).to_have_text(["2TaxCalculator 1.1.0 active", "1TaxCalculator 1.0.0 deployed"])
    soon(when).to_be_hidden()
    page.keyboard.press("Escape")
    soon(records).to_be_hidden()
    assert server.active == "documented"

    server.use("deploy-in-progress")
    soon(page.locator("#now-name")).to_have_text("deploy-in-progress")
    page.locator("#now").get_by_role("button", name="Records").click()
    soon(rows.first).to_have_text("2TaxCalculator 1.1.0 active")
    for _ in range(3):
        ask(server)
    soon(rows.first).to_have_text("2TaxCalculator 1.1.0 deployed")
    soon(page.locator("#records-releases > .new")).to_have_count(1)
    headers = {"X-ApiKey": server.api_key}
    url = f"{server.url}/api/releases/builds/create"
    parameters = {"applicationId": "1", "pipelineName": "Release"}
    requests.post(url, data=parameters, headers=headers, timeout=10).raise_for_status()
    soon(kinds).to_have_text(["2 releases", "1 build", "0 deployments", "1 application"])
    rows.first.locator("summary").click()
    shown = json.loads(rows.first.locator("pre").inner_text())
    assert shown == ask(server, releaseId="2").json()[0]
    when.get_by_role("button", name="At the start").click()
    soon(rows.first).to_have_text("2TaxCalculator 1.1.0 active")
    soon(kinds.nth(1)).to_have_text("0 builds")
    when.get_by_role("button", name="Now").click()
    soon(kinds.nth(1)).to_have_text("1 build")
    page.get_by_role("button", name="Close").click()
    soon(records).to_be_hidden()


def test_all_of_it_is_reached_by_keyboard(server: MockServer, open_page: Opener) -> None:
    """The tabulator comes to a switch, to a copy, and through to the journal's last control."""
    page = open_page(server)
    soon(page.locator(".card")).to_have_count(len(server.mock.catalog.scenarios))
    reached = []
    for _ in range(4 * len(server.mock.catalog.scenarios) + 30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.innerText")
        )
        if reached[-1] == "clear":
            break
    wanted = {"search", "reload", "Switch", "Copy curl", "reset", "clock-to", "filter", "status"}
    assert wanted <= set(reached)
    assert not [text for text in reached if text.startswith("curl")]
    assert reached[-1] == "clear"
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(style) == "solid"


UNHIDDEN = """(selector) => {
  const head = document.querySelector(`${selector} > .head`).getBoundingClientRect();
  return document.activeElement.getBoundingClientRect().top >= head.bottom;
}"""


def test_the_focus_is_always_seen(tmp_path: Path, open_page: Opener) -> None:
    """Links over the panes show with the focus; going backwards, it is never behind a head."""
    for number in range(1, 21):
        words = "A description of some lines. " * 4
        scenario_file(tmp_path, f"scenario-{number}", description=words, releases=[release(number)])
    with MockServer(tmp_path) as server:
        for _ in range(30):
            ask(server)
        page = open_page(server)
        soon(page.locator("#entries > li")).to_have_count(30)
        skip = page.locator("nav a[href='#journal']")
        clip = "(link) => getComputedStyle(link.parentElement).clipPath"
        assert skip.evaluate(clip) != "none"
        skip.focus()
        assert skip.evaluate(clip) == "none"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        soon(page.locator("#filter")).to_be_focused()
        for selector, last in (("#journal", "#entries summary"), ("#scenarios", ".card button")):
            page.locator(last).last.focus()
            for _ in range(25):
                page.keyboard.press("Shift+Tab")
                assert page.evaluate(UNHIDDEN, selector)


def test_two_tabs(server: MockServer, open_page: Opener) -> None:
    """A switch in one tab, or anywhere else, shows in the other."""
    one, two = open_page(server), open_page(server)
    for page in (one, two):
        soon(card(page, "documented")).to_have_attribute("aria-current", "true")
    card(one, "single").get_by_role("button", name="Switch").click()
    soon(card(two, "single")).to_have_attribute("aria-current", "true")
    soon(two.locator("#now-name")).to_have_text("single")
    server.use("empty")
    for page in (one, two):
        soon(card(page, "empty")).to_have_attribute("aria-current", "true")


def test_the_journal_as_it_happens(server: MockServer, open_page: Opener) -> None:
    """A request made elsewhere shows up, newest first, with status, explanation and answer."""
    page = open_page(server)
    rows = page.locator("#entries > li")
    soon(page.locator("#no-entries")).to_be_visible()
    ask(server, status="active", applicationName="TaxCalculator")
    soon(rows).to_have_count(1)
    soon(rows.first).to_contain_text(
        "7 releases; status=active: 4; applicationName='TaxCalculator': 1"
    )
    ask(server, aplicationName="x")
    ask(server, key="wrong")
    soon(rows).to_have_count(3)
    soon(rows.locator(".status")).to_have_text(["403", "400", "200"])

    gists = ["aplicationName: unknown parameter; did you mean applicationName?", "1 release"]
    soon(rows.locator(".gist")).to_have_text(gists)

    rows.last.locator("summary").click()
    shown = rows.last.locator("pre")
    soon(shown).to_contain_text("TaxCalculator")
    assert json.loads(shown.inner_text()) == ask(server, releaseId="1").json()
    soon(rows).to_have_count(4)
    soon(shown).to_be_visible()  # an open row stays open


def test_answers_in_the_journal(tmp_path: Path, open_page: Opener) -> None:
    """An open row has the very answer: whole or its beginning, JSON or not, or that none came."""
    faults = [
        {"when": {"status": "active"}, "respond": {"status": 503, "body": "Busy\nvery"}},
        {"when": {"status": "canceled"}, "connection": "empty"},
        {"when": {"status": "deployed"}, "connection": "malformed"},
    ]
    releases = [release(number) for number in range(1, 41)]
    scenario_file(tmp_path, "shop", releases=releases, faults=faults)
    with MockServer(tmp_path) as server:
        whole = ask(server)
        for status in ("active", "deployed"):
            ask(server, status=status)
        with pytest.raises(requests.ConnectionError):
            ask(server, status="canceled")
        ask(server, releaseNumber="none")
        ask(server, key="wrong")
        ask(server, releaseId="7")
        page = open_page(server, permissions=["clipboard-read", "clipboard-write"])
        rows = page.locator("#entries > li")
        soon(rows).to_have_count(7)
        soon(rows.locator(".gist")).to_have_text(
            ["1 release", "[]", "[<html>", "Busy", "40 releases"]
        )
        for summary in rows.locator("summary").all():
            summary.click()
        told = [re.compile(text) for text in ("bytes", "empty body", "2 bytes", "nothing arrived")]
        soon(rows.locator("dd:first-of-type")).to_contain_text(
            [*told, "bytes", "9 bytes", f"the first 4,096 of {len(whole.content):,} bytes"]
        )
        soon(rows.nth(5).locator("pre")).to_have_text("Busy\nvery")
        assert rows.last.locator("pre").inner_text() == whole.text[:4096]
        rows.first.get_by_role("button", name="Copy the answer").click()
        soon(page.get_by_role("status")).to_have_text("The answer is copied")
        (copied,) = json.loads(page.evaluate("navigator.clipboard.readText()"))
        assert copied == whole.json()[-7]


def test_a_long_journal(server: MockServer, open_page: Opener) -> None:
    """All that the mock keeps is filtered, and only the newest of what is found is shown."""
    ask(server, releaseNumber="7.7")
    with requests.Session() as client:
        client.headers["X-ApiKey"] = "abc12345"
        for _ in range(320):
            client.get(f"{server.url}/api/releases", timeout=10)
    page = open_page(server)
    rows, count = page.locator("#entries > li"), page.locator("#journal-count")
    soon(count).to_have_text("300 of 321 shown")
    soon(rows).to_have_count(300)
    search = page.get_by_label("Filter the journal")
    search.fill("#3")
    soon(count).to_have_text("33 of 321")
    search.fill("7.7")
    soon(rows).to_have_count(1)
    soon(count).to_have_text("1 of 321")
    search.fill("no such thing")
    soon(page.locator("#no-entries")).to_have_text("No request matches the filter.")


def test_a_journal_that_comes_late(server: MockServer, open_page: Opener) -> None:
    """What was asked before another session was chosen is not mixed with what came after."""
    server.open_session("single", "mine")
    for _ in range(2):
        ask(server)
    page = open_page(server)
    rows = page.locator("#entries > li")
    soon(rows).to_have_count(2)
    rows.last.locator("summary").click()
    page.get_by_role("button", name="default", exact=True).click()  # the chosen one already
    soon(rows.last.locator("pre")).to_be_visible()
    held: list[Any] = []
    page.route("**/__admin/requests?*", lambda route: held.append(route), times=1)
    with page.expect_request("**/__admin/requests?*"):
        ask(server)
    page.get_by_role("button", name="mine", exact=True).click()
    soon(rows).to_have_count(0)
    page.get_by_role("button", name="default", exact=True).click()
    held[0].continue_()
    soon(rows).to_have_count(3)


def test_filtering_the_journal(server: MockServer, open_page: Opener) -> None:
    """Words and a status narrow it; emptied or restarted elsewhere, it is so here, too."""
    for parameters in ({"status": "active"}, {"status": "nonsense"}, {"releaseNumber": "7.7"}):
        ask(server, **parameters)
    page = open_page(server)
    rows, count = page.locator("#entries > li"), page.locator("#journal-count")
    soon(rows).to_have_count(3)
    page.get_by_label("Status", exact=True).select_option("4xx")
    soon(rows.locator(".status")).to_have_text(["400"])
    soon(count).to_have_text("1 of 3")
    page.get_by_label("Status", exact=True).select_option("every status")
    page.get_by_label("Filter the journal").fill("7.7")
    soon(rows).to_have_count(1)
    page.get_by_label("Filter the journal").fill("")
    soon(count).to_have_text("3")
    server.mock.default.reset()
    for _ in range(4):
        ask(server, status="canceled")
    soon(rows).to_have_count(4)
    soon(page.locator("#entries")).not_to_contain_text("7.7")
    page.get_by_role("button", name="Clear").click()
    soon(rows).to_have_count(0)
    assert server.mock.default.requests() == []


def test_the_page_itself_leaves_no_traces(server: MockServer, open_page: Opener) -> None:
    """However long it looks, the journal holds what clients asked, and nothing else."""
    page = open_page(server)
    for _ in range(3):
        with page.expect_response("**/__admin/health"):
            pass
    assert server.mock.default.requests() == []


def test_faults_and_changes_with_their_counters(server: MockServer, open_page: Opener) -> None:
    """The active scenario tells what it does on purpose, and how far it has come with that."""
    server.use("flaky")
    page = open_page(server)
    fault = page.locator("#faults > li")
    soon(fault).to_have_text(re.compile(r"^\[0\]status 503, 2 times.*not met yet$"))
    ask(server)
    soon(fault).to_have_text(re.compile("met 1$"))
    ask(server)
    soon(fault).to_have_text(re.compile("met 2, done$"))
    server.use("deploy-in-progress")
    change = page.locator("#changes > li")
    soon(change).to_contain_text("TaxCalculator 1.1.0")
    soon(change).to_contain_text("after 3 calls: status: deployed")
    soon(change).to_contain_text("to come")
    soon(page.locator("#faults-title")).to_be_hidden()
    for _ in range(3):
        ask(server)
    soon(change).to_contain_text("has happened")
    soon(page.locator("#now-run")).to_contain_text("3 calls")


def test_sessions(server: MockServer, open_page: Opener) -> None:
    """A session that is chosen is what the page shows and switches, until it ends."""
    mine = server.open_session("single", "mine")
    other = server.open_session("empty", "")
    page = open_page(server)
    listed = page.locator("#sessions > li")
    soon(listed).to_have_count(3)
    soon(listed.nth(2)).to_contain_text(other.id)
    page.get_by_role("button", name="mine", exact=True).click()
    soon(page.locator("#now-name")).to_have_text("single")
    soon(card(page, "single")).to_have_attribute("aria-current", "true")
    soon(page.locator("#no-entries")).to_contain_text("this session’s API key")
    soon(page).to_have_title("single in \u2068mine\u2069 · mockbm")
    page.reload()
    soon(page.locator("#now-title")).to_have_text("Active in mine")
    ask(server, key=mine.api_key)
    ask(server)
    soon(page.locator("#entries > li")).to_have_count(1)
    soon(page.locator("#entries")).to_contain_text("single")
    card(page, "empty").get_by_role("button", name="Switch").click()
    soon(card(page, "empty")).to_have_attribute("aria-current", "true")
    assert (mine.active, server.active) == ("empty", "documented")
    page.get_by_role("button", name="Reset session").click()
    soon(card(page, "single")).to_have_attribute("aria-current", "true")

    page.get_by_role("button", name="End mine").click()
    soon(listed).to_have_count(2)
    soon(page.locator("#sessions-title")).to_be_focused()
    soon(card(page, "documented")).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name=other.id, exact=True).click()
    soon(page.locator("#now-name")).to_have_text("empty")
    other.end()
    soon(page.get_by_role("status")).to_contain_text("That session has ended")
    soon(page.locator("#now-name")).to_have_text("documented")


def test_opening_a_session(server: MockServer, open_page: Opener) -> None:
    """A session opened here begins as the page looks, and its key is told once."""
    server.use("single")
    page = open_page(server, permissions=["clipboard-read", "clipboard-write"])
    soon(page.locator("#now-name")).to_have_text("single")
    page.get_by_label("Label of a new session").fill("my tests")
    page.keyboard.press("Enter")
    soon(page.locator("#now-title")).to_have_text("Active in my tests")
    box = page.locator("#opened")
    key = box.locator("p code").inner_text()
    (listed,) = server.mock.sessions()
    assert (listed.label, listed.active) == ("my tests", "single")
    box.get_by_role("button", name="Copy curl").click()
    line = f"curl -sS -H 'X-ApiKey: {key}' '{server.url}/api/releases'"
    soon(page.get_by_role("status")).to_have_text("The curl line of my tests is copied")
    assert page.evaluate("navigator.clipboard.readText()") == line
    assert len(ask(server, key=key).json()) == 1
    soon(page.locator("#entries > li")).to_have_count(1)
    box.get_by_role("button", name="Hide").click()
    soon(box).to_be_hidden()
    assert key not in page.content()
    page.get_by_role("button", name="Open a session").click()
    soon(page.locator("#sessions > li")).to_have_count(3)
    soon(box).to_be_visible()
    for standing in server.mock.sessions():
        server.mock.end_session(standing.id)
    soon(box).to_be_hidden()


def test_the_journal_names_what_was_answered(server: MockServer, open_page: Opener) -> None:
    """An answer with builds or deployments is not called one with releases."""
    server.mock.default.use_values({"extends": "release-train"})
    headers = {"X-ApiKey": server.api_key}
    gists = {"/builds": "9 builds", "/builds/deployments": "2 deployments"}
    page = open_page(server)
    for path in gists:
        requests.get(f"{server.url}/api/releases{path}", headers=headers, timeout=10)
    for gist in gists.values():
        soon(page.locator("body")).to_contain_text(gist)


FITS = """(input) => {
  const style = getComputedStyle(input);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const room = input.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return pen.measureText(input.placeholder).width <= room;
}"""


def test_the_placeholder_is_whole(server: MockServer, open_page: Opener) -> None:
    """How a date is written can be read in its field, on wide and narrow screens."""
    page = open_page(server)
    soon(page.locator("#clock-to")).to_be_visible()
    for width in (320, 360, 999, 1000, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.locator("#clock-to").evaluate(FITS)


def test_one_style_of_time(server: MockServer, open_page: Opener) -> None:
    """Every date and time on the page is written alike."""
    ask(server)
    page = open_page(server)
    page.locator("#entries summary").click()
    style = re.compile(r"(since |at |^)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
    for part in ("#about", "#clock-now", "#entries dl"):
        soon(page.locator(part)).to_contain_text(style)
    soon(page.locator("#entries time")).to_have_attribute("title", style)


def test_a_session_that_cannot_open(directory: Path, open_page: Opener) -> None:
    """Why a session cannot open is said beside its label."""
    with MockServer(directory, max_sessions=1) as server:
        server.open_session()
        page = open_page(server)
        page.get_by_role("button", name="Open a session").click()
        soon(page.locator("#open .wrong")).to_have_text(
            "1 session may be open, and no more; end one, or start the mock with a higher limit"
        )


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="no curl or bash")
def test_requests_of_the_journal_are_repeated(server: MockServer, open_page: Opener) -> None:
    """The curl line of a request in the journal shows all that it had, and gets the same answer."""
    key, url = {"X-ApiKey": server.api_key}, f"{server.url}/api/releases"
    answers = [
        requests.get(url, {"releaseName": "it's $HOME & more"}, headers=key, timeout=10),
        requests.post(url, json={"status": "active", "applicationId": 1}, headers=key, timeout=10),
        requests.post(url, {"releaseNumber": "1.0.1"}, headers=key, timeout=10),
        requests.get(f"{url}/builds", {"buildId": "none"}, headers=key, timeout=10),
        ask(server, f"{server.api_key}@every-status", status="deployed"),
    ]
    page = open_page(server)
    rows = page.locator("#entries > li")
    soon(rows).to_have_count(len(answers))
    for summary in rows.locator("summary").all():
        summary.click()
    lines = rows.locator(".curl")
    soon(lines).to_have_count(len(answers))
    whole = "(lines) => lines.every((line) => line.scrollWidth <= line.clientWidth)"
    assert lines.evaluate_all(whole)
    for line, answer in zip(lines.all_inner_texts(), reversed(answers), strict=True):
        done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=30, check=True)
        assert done.stdout == answer.content


def test_the_clock(server: MockServer, open_page: Opener) -> None:
    """The clock is seen, stopped, put forward and let run; what is no date says what one is."""
    page = open_page(server)
    shown, kind = page.locator("#clock-now"), page.locator("#clock-kind")
    soon(kind).to_have_text("runs")
    page.get_by_label("Stop at").fill("2024-03-04T09:00:00Z")
    page.get_by_role("button", name="Set", exact=True).click()
    soon(shown).to_have_text("2024-03-04 09:00:00 UTC")
    soon(kind).to_have_text("stopped")
    page.get_by_label("Forward by").fill("36h")
    page.keyboard.press("Enter")
    soon(shown).to_have_text("2024-03-05 21:00:00 UTC")
    page.get_by_label("Forward by").fill("soon")
    page.get_by_role("button", name="Advance").click()
    wrong = page.locator("#clock-advance .wrong")
    soon(wrong).to_have_text(
        "'soon': write a number and one of ms, s, m, h, d, w, such as 250ms or 2d"
    )
    soon(page.get_by_label("Forward by")).to_have_attribute("aria-invalid", "true")
    soon(page.get_by_label("Forward by")).to_be_focused()
    soon(page.get_by_label("Forward by")).to_have_accessible_description(wrong.inner_text())
    page.get_by_label("Forward by").fill("36h")
    soon(wrong).to_be_hidden()
    page.get_by_label("Stop at").fill("2024-13-01")
    page.get_by_role("button", name="Set", exact=True).click()
    soon(page.locator("#clock-set .wrong")).to_have_text("'2024-13-01' is not a date that exists")
    page.get_by_label("Stop at").fill("noon")
    page.keyboard.press("Enter")
    soon(page.locator("#clock-set .wrong")).to_have_text(
        "'noon' is not a date; write it like 2024-03-04 or 2024-03-04 09:00:00"
    )
    soon(shown).to_have_text("2024-03-05 21:00:00 UTC")
    page.get_by_label("Stop at").fill("2024-03-06 21:00:00 UTC")  # as the page writes it
    page.get_by_role("button", name="Set", exact=True).click()
    soon(shown).to_have_text("2024-03-06 21:00:00 UTC")
    page.get_by_role("button", name="Machine’s time").click()
    soon(kind).to_have_text("runs")
    page.get_by_label("Forward by").fill("36h")
    page.get_by_role("button", name="Advance").click()
    soon(kind).to_have_text(re.compile("^runs, 1 d (12 h|11 h) ahead$"))
    page.get_by_role("button", name="Machine’s time").click()
    soon(kind).to_have_text("runs")


def test_problems_of_the_files(tmp_path: Path, open_page: Opener) -> None:
    """A failed reload tells every problem with its position; one that works takes them away."""
    scenario_file(tmp_path, "shop", releases=[release(1)])
    with MockServer(tmp_path) as server:
        page = open_page(server)
        soon(page.locator(".card")).to_have_count(1)
        scenario_file(tmp_path, "till", releases=[release(1), release(2)])
        (tmp_path / "shop.yaml").write_text("releases:\n  - id: one\n")
        button = page.get_by_role("button", name="Reload files")
        button.click()
        problems = page.locator("#problem-list > li")
        soon(problems).to_have_count(4)
        soon(problems.nth(3)).to_contain_text("shop.yaml:2:9: releases[0].id: 'one' is not an int")
        soon(page.locator(".card")).to_have_count(1)
        scenario_file(tmp_path, "shop", description="Mended.", releases=[])
        button.click()
        soon(page.locator("#problems")).to_be_hidden()
        soon(page.locator(".card h3")).to_have_text(["shop", "till"])
        soon(card(page, "shop")).to_contain_text("Mended.")


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="no curl or bash")
def test_the_curl_lines_run(tmp_path: Path, open_page: Opener) -> None:
    """Each line, as it is copied, gets its scenario's answer in a shell, whatever is active."""
    for number, (name, key) in enumerate(ODD_KEYS.items(), 1):
        scenario_file(tmp_path, name, apiKeys=[key], releases=[release(number)])
    scenario_file(tmp_path, "plain", apiKeys=[*ODD_KEYS.values(), "plain"], releases=[release(3)])
    scenario_file(tmp_path, "refusing", apiKeys=[], releases=[])
    with MockServer(tmp_path, "refusing") as server:
        page = open_page(server)
        for name, expected in (("quotes", 1), ("spaces", 2), ("plain", 3)):
            curl = card(page, name).locator(".curl")
            soon(curl).to_contain_text(f"@{name}")  # which is what differs
            line = curl.get_attribute("title") or ""
            done = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, capture_output=True, timeout=30, check=True
            )
            assert [item["id"] for item in json.loads(done.stdout)] == [expected]
        assert not (tmp_path / "hacked").exists()
        for curl in page.locator(".curl").all():
            line = curl.get_attribute("title") or ""
            if "@refusing'" in line or "-i" in line:
                done = subprocess.run(
                    ["bash", "-c", line], capture_output=True, timeout=30, check=True
                )
                assert done.stdout.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("has_clipboard", [True, False])
def test_copying(server: MockServer, open_page: Opener, has_clipboard: bool) -> None:
    """The button copies the line, also where the browser has no clipboard for the page."""
    page = open_page(server, permissions=["clipboard-read", "clipboard-write"])
    button = card(page, "single").get_by_role("button", name="Copy curl")
    soon(button).to_be_visible()
    page.evaluate("window.read = () => navigator.clipboard.readText()")
    if not has_clipboard:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject('no'); }")
    button.focus()
    page.keyboard.press("Enter")
    soon(page.get_by_role("status")).to_have_text("The curl line of single is copied")
    line = f"curl -sS -H 'X-ApiKey: abc12345@single' '{server.url}/api/releases'"
    assert page.evaluate("read()") == line


def hostile_mock(directory: Path) -> MockServer:
    """A mock whose every text tries something."""
    releases = [
        release(number, number=text, name=text, applicationName=text, createdBy=text)
        for number, text in enumerate(HOSTILE, 1)
    ]
    changes = [{"after": "1 call", "name": HOSTILE[1], "applicationName": HOSTILE[0]}]
    fault = {
        "when": {"applicationName": HOSTILE[0]},
        "respond": {"status": 418, "body": HOSTILE[1]},
    }
    releases[0]["changes"] = changes
    values = {"releases": releases, "faults": [fault], "description": " ".join(HOSTILE)}
    scenario_file(directory, "hostile", **values)
    scenario_file(directory, "x" * 120, releases=[], description="A long name.")
    server = MockServer(directory, "hostile")
    for text in HOSTILE:
        server.open_session("hostile", text[:200])
    return server


def test_hostile_names(tmp_path: Path, open_page: Opener) -> None:
    """Whatever stands in files, labels and requests is shown as it stands, and does nothing."""
    with hostile_mock(tmp_path) as server:
        for text in HOSTILE:
            ask(server, applicationName=text)
            ask(server, **{text: text})
        requests.get(f"{server.url}/{HOSTILE[0]}", timeout=10)
        page = open_page(server)
        soon(page.locator("#entries > li")).to_have_count(2 * len(HOSTILE) + 1)
        for row in page.locator("#entries summary").all():
            row.click()
        soon(page.locator("#entries pre:visible")).to_have_count(2 * len(HOSTILE) + 1)
        soon(page.locator("#entries .why:not([dir=ltr])")).to_have_count(0)
        soon(page.locator("#sessions > li")).to_have_count(len(HOSTILE) + 1)
        texts = page.locator("#main").evaluate("(main) => main.textContent")
        for text in HOSTILE:
            assert text in texts
        soon(page.locator("#changes > li")).to_contain_text(HOSTILE[1])
        soon(page.locator("#faults > li")).to_contain_text("applicationName=<script>")
        assert page.locator("#main").locator("script, img, svg svg, iframe, style").count() == 0
        for width in (360, 1200):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") == width


def test_odd_values_that_come_with_mockbm(server: MockServer, open_page: Opener) -> None:
    """The shipped scenario of odd values is on the page, as its releases are in the answer."""
    server.use("unicode-and-odd-values")
    ask(server, releaseNumber="<b>1</b>")
    page = open_page(server)
    soon(card(page, "unicode-and-odd-values")).to_have_attribute("aria-current", "true")
    page.locator("#entries summary").click()
    soon(page.locator("#entries pre")).to_contain_text(
        '"name": "<script>alert(\\"x\\")</script> & more"'
    )


SIDES = """(controls) => controls.map((control) => {
  const box = control.getBoundingClientRect();
  return [box.left, box.right];
})"""


def test_widths_and_colours(server: MockServer, open_page: Opener) -> None:
    """Nothing is wider than the screen, every control is within it, and dark is dark."""
    server.open_session("empty", "a session of one suite")
    server.use("deploy-in-progress")
    ask(server, status="active")
    page = open_page(server)
    soon(page.locator("#entries > li")).to_have_count(1)
    page.locator("#entries summary").click()
    looks: list[tuple[int, Any]] = [(360, "light"), (360, "dark"), (1000, "light"), (1920, "dark")]
    for width, scheme in looks:
        page.set_viewport_size({"width": width, "height": 780})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        sides = page.locator("button:visible, input:visible, select:visible").evaluate_all(SIDES)
        assert len(sides) > 20
        assert all(left >= 0 and right <= width for left, right in sides)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        parts = [int(part) for part in re.findall(r"\d+", ground)]
        assert (max(parts) < 60) == (scheme == "dark")


def test_on_a_phone(server: MockServer, open_page: Opener) -> None:
    """The active scenario is told on the first screen, and many sessions leave room for the rest.

    A long label is cut, whole only in its title.
    """
    for number in range(20):
        server.open_session("empty", f"{number} {'a long label ' * 10}")
    page = open_page(server, viewport={"width": 320, "height": 640})
    soon(page.locator("#nav-name")).to_have_text("documented")
    soon(page.locator("#nav-name")).to_be_in_viewport()
    soon(page).to_have_title("documented · mockbm")
    soon(page.locator("#sessions > li")).to_have_count(21)
    box = page.locator("#sessions").bounding_box()
    assert box is not None
    assert box["height"] <= 260
    pick = page.locator(".pick").nth(3)
    assert pick.evaluate("(pick) => pick.clientHeight < 40 && pick.title.length > 100")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    tops = page.locator("#main > section").evaluate_all(
        "(parts) => parts.map((part) => [part.getBoundingClientRect().top, part.id])"
    )
    order = ["now", "journal", "scenarios", "sessions-box", "clock"]
    assert [id_ for _, id_ in tops] == [id_ for _, id_ in sorted(tops)] == order


def test_forced_colours(server: MockServer, open_page: Opener) -> None:
    """Where the system chooses the colours, statuses keep theirs, and what is chosen has a mark."""
    page = open_page(server, forced_colors="active")
    soon(card(page, "documented")).to_have_attribute("aria-current", "true")
    square = "getComputedStyle(document.querySelector('.legend .%s'), '::before').backgroundColor"
    colours = {page.evaluate(square % name) for name in ("active", "deployed", "canceled")}
    assert len(colours) == 3
    border = page.locator(".pick[aria-pressed=true]")
    assert border.evaluate("(pick) => getComputedStyle(pick).borderTopWidth") == "3px"


def test_the_token(directory: Path, open_page: Opener) -> None:
    """Under a token the page asks for it, tells a wrong one, keeps the right one for the tab."""
    with MockServer(directory, admin_token="the-token") as server:
        page = open_page(server)
        field = page.get_by_label("Token")
        soon(field).to_be_focused()
        soon(page.locator("#main")).to_be_hidden()
        for wrong in ("another", "with späce"):
            field.fill(wrong)
            page.keyboard.press("Enter")
            soon(page.locator("#ask .wrong")).to_have_text("That is not the token of this mock.")
            soon(field).to_have_value("")
        field.fill("the-token")
        page.get_by_role("button", name="Sign in").click()
        card(page, "empty").get_by_role("button", name="Switch").click()
        soon(card(page, "empty")).to_have_attribute("aria-current", "true")
        assert server.active == "empty"
        page.reload()
        soon(card(page, "empty")).to_have_attribute("aria-current", "true")
        assert "the-token" not in page.url
        soon(open_page(server).get_by_label("Token")).to_be_focused()  # another tab is another one


def test_without_an_admin_api(open_page: Opener) -> None:
    """A mock without one has no page: the browser shows the 404."""
    with MockServer(admin_api=False) as server:
        page = open_page(server)
        soon(page.locator("body")).to_contain_text("BuildMaster has no endpoint at this path")


def test_a_mock_that_ends_and_comes_back(directory: Path, open_page: Opener) -> None:
    """The page says when nobody answers, and goes on with the next mock at the same address."""
    with MockServer(directory) as server:
        page = open_page(server)
        soon(page.locator("#live")).to_have_text("live")
    soon(page.locator("#lost")).to_have_text("The mock: no answer; is it still running?")
    page.get_by_role("button", name="Clear").click()
    soon(page.get_by_role("status")).to_have_text("The mock: no answer; is it still running?")
    with MockServer(directory, "empty", port=server.port) as again:
        soon(page.locator("#lost")).to_be_hidden()
        soon(card(page, "empty")).to_have_attribute("aria-current", "true")
        assert again.active == "empty"


@pytest.mark.parametrize(("required", "outcome"), [("", "skipped"), ("1", "errors")])
def test_without_a_browser_they_are_skipped_or_fail(
    required: str, outcome: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a Chromium these tests are skipped with a reason, or fail where one is required."""
    pytester.path.joinpath("test_copy.py").write_text(Path(__file__).read_text(encoding="utf-8"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("MOCKBM_CHROMIUM", "")
    monkeypatch.setenv("MOCKBM_REQUIRE_BROWSER", required)
    result = pytester.runpytest_inprocess("-rs", "-k", "test_the_token")
    result.assert_outcomes(**{outcome: 1}, deselected=None)
    result.stdout.re_match_lines([".*(Playwright is not installed|there is no Chromium)"])
