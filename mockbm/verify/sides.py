"""Two sides that get the same requests, a server and the mock of its releases, and one report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from .asking import Answer, Request, Server
from .findings import Privacy, Report
from .model import Model, Properties

Ids = list[int]
"""The releases of an answer, without those that the answer without filters did not have."""

THE_ARRAY = "the array of releases"


class Sides:
    """Sends requests to both sides and notes whatever differs, but for which releases come.

    failed: topics in which the two differ.
    no_match: statuses other than 200 with which the server says that nothing matches.
    """

    def __init__(self, server: Server, model: Model, report: Report, privacy: Privacy) -> None:
        self.model = model
        self.report = report
        self.privacy = privacy
        self.failed: set[str] = set()
        self.no_match: set[int] = set()
        self._server = server
        self._properties = Properties(model, report, privacy)

    def ask(self, topic: str, request: Request, misses: Collection[int] = ()) -> Ids | None:
        """Send one request to both.

        misses: statuses that may be what the server says where nothing matches.
        Returns: the ids of the server's releases; None where there are none to compare.
        """
        real = self._server.ask(request)
        if real.status in misses and self.mocked(request) == []:
            self.no_match.add(real.status)
        return self.compare(topic, request, real)

    def mocked(self, request: Request) -> Ids | None:
        """The ids that the mock answers, or would to GET; None where it refuses the request."""
        if request.method == "HEAD":
            request = replace(request, method="GET")
        answer = self.model.mock.ask(request)
        return self._known(answer.releases() or []) if answer.status == 200 else None

    def _known(self, releases: list[dict[str, Any]]) -> Ids:
        found = map(self.model.identify, releases)
        return [id_ for id_ in found if id_ is not None]

    def compare(self, topic: str, request: Request, real: Answer) -> Ids | None:
        """Compare the server's answer to a request with the mock's; returns what `ask` does."""
        mocked = self.model.mock.ask(request)
        if real.status != mocked.status:
            return self._other_status(topic, request, real, mocked)
        self._type(request, real, mocked)
        if mocked.status != 200:
            self._text(str(request), real, mocked)
            return None
        if request.method == "HEAD":
            return None
        found = real.releases()
        if found is None:
            self.failed.add(topic)
            both = ("no array of releases", "an array of releases")
            self.report.add(("body", ""), [topic], *both, str(request))
            return None
        self._json(real, str(request))
        self._properties.compare(found, "" if request == Request() else str(request))
        return self._once(found, str(request))

    def fail(self, topic: str, kind: str, example: str, server: str, mock: str) -> None:
        """Note that the two differ in a topic."""
        self.failed.add(topic)
        self.report.add((kind, topic), [topic], server, mock, example)

    def told(self, ids: Ids) -> str:
        """An answer with these releases, in words."""
        if not ids:
            return "200 with []"
        every = len(ids) == len(self.model.ids)
        return f"200 with {'all releases' if every else f'{len(ids)} of the releases'}"

    def _type(self, request: Request, real: Answer, mocked: Answer) -> None:
        has_one = bool(real.body and mocked.body) or request.method == "HEAD"
        if has_one and real.content_type != mocked.content_type:
            key = ("content-type", str(real.status))
            kind = self.privacy(real.content_type[:80]) or "none"
            about = [f"Content-Type of a {real.status}"]
            self.report.add(key, about, kind, mocked.content_type, str(request))

    def _json(self, real: Answer, example: str) -> None:
        """Tell what is no JSON by the standard, and passes for it here."""
        for oddity in real.oddities():
            mock = "JSON as the standard has it, in UTF-8"
            self.report.add(("body", oddity), [THE_ARRAY], oddity, mock, example)

    def _text(self, example: str, real: Answer, mocked: Answer) -> None:
        if bool(real.body) != bool(mocked.body):
            key = ("error-body", str(real.status))
            texts = ("some text", "nothing") if real.body else ("nothing", "some text")
            self.report.add(key, [f"the body of a {real.status}"], *texts, example)

    def _once(self, found: list[dict[str, Any]], example: str) -> Ids:
        every = self._known(found)
        ids = list(dict.fromkeys(every))
        if len(every) < len(found):
            both = ("leaves out releases that it has with a filter", "has all without a filter")
            self.report.add(("release-hidden",), [THE_ARRAY], *both, example)
        if len(ids) < len(every):
            shared = not self.model.shared.isdisjoint(every)
            both = ("several releases share an id", "each has its own")
            both = both if shared else ("has a release twice", "has it once")
            self.report.add(("release-twice",), [THE_ARRAY], *both, example)
        among = set(ids)
        if ids != [id_ for id_ in self.model.ids if id_ in among]:
            what = "order than without filters"
            self.report.add(
                ("order-filtered",), [THE_ARRAY], f"another {what}", f"the same {what}", example
            )
        return ids

    def _other_status(
        self, topic: str, request: Request, real: Answer, mocked: Answer
    ) -> Ids | None:
        status, example = str(real.status), str(request)
        if mocked.status == 200:
            if real.status in self.no_match and self.mocked(request) == []:
                about = ["filters that nothing matches"]
                self.report.add(("no-match", status), about, status, "200 with []", example)
                return []
            self.fail(topic, "refused", example, status, "200")
        elif real.status // 100 == 2:
            found = real.releases()
            server = status if found is None else self.told(self._known(found))
            self.fail(topic, "accepted", example, server, str(mocked.status))
        else:
            self.failed.add(topic)
            key = ("error-status", str(mocked.status), status)
            self.report.add(key, [topic], status, str(mocked.status), example)
        return None
