"""Does a real server still answer like the mock? Both get the same requests, and are compared.

The mock is one in this process, with the releases that the server answered. Nothing is written at
the server: it gets `GET`, `HEAD` and `POST` requests to `/api/releases`, which only read [S].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .asking import JSON, Answer, CannotVerify, Request, Server
from .filters import TOGETHER, Filters
from .findings import Privacy, Report
from .model import Model
from .probes import BY_QUERY, IN_JSON, Probe, Values, probes
from .sides import THE_ARRAY, Sides

__all__ = ["CannotVerify", "Model", "Privacy", "Report", "Server", "verify"]


def verify(
    server: Server,
    privacy: Privacy,
    *,
    sample: int = 3,
    key_in_query: bool = False,
    tell: Callable[[int], object] = lambda _: None,
) -> tuple[Report, Model | None]:
    """Compare a server with the mock.

    sample: values of each filter that are sent.
    key_in_query: whether the key may go into a URL, which servers and proxies write into logs.
    tell: is told how many requests there will be at most.
    Returns: the report, and what was seen; None for the latter where it were no releases.
    Raises: CannotVerify.
    """
    for _ in range(2):
        report = Report(server.url)
        first = server.ask(Request())
        found = _releases(first, server, report)
        if found is None:
            report.requests = server.sent
            return report, None
        privacy.learn(found)
        model = Model(found)
        report.releases = len(model.ids)
        _compare(Sides(server, model, report, privacy), first, sample, key_in_query, tell)
        last = server.ask(Request()).releases()
        report.requests = server.sent
        if last == found:
            return report, model
    raise CannotVerify(
        f"{server.url}: the releases changed while they were asked for, twice; try again when "
        "nobody works there"
    )


def _releases(answer: Answer, server: Server, report: Report) -> list[dict[str, Any]] | None:
    """The releases of the first answer; None where it is another kind of JSON.

    Raises: CannotVerify where it is nothing to go on with.
    """
    if answer.status in (401, 403):
        raise CannotVerify(f"{server.url} refuses the API key: it answers {answer.status}")
    if 300 <= answer.status < 400:
        what = "redirects elsewhere, perhaps to a login page; redirects are not followed"
        raise CannotVerify(f"{server.url} {what}")
    if answer.status != 200:
        what = f"answers {answer.status} to GET /api/releases; is it the base URL of a BuildMaster?"
        raise CannotVerify(f"{server.url} {what}")
    try:
        answer.json()
    except ValueError:
        is_page = "html" in answer.content_type or answer.body.lstrip()[:1] == b"<"
        what = "a web page, perhaps for a login" if is_page else "something that is no JSON"
        raise CannotVerify(f"{server.url} answers {what}") from None
    found = answer.releases()
    if found is None:
        key, server_, mock = ("body", ""), "JSON that is no array of objects", "an array of objects"
        report.add(key, ["no filter"], server_, mock, str(Request()))
        report.skip("everything else")
    return found


def _compare(
    sides: Sides, first: Answer, sample: int, key_in_query: bool, tell: Callable[[int], object]
) -> None:
    filters = Filters(sides, sample)
    most = Values(filters.seen, ("releaseId", 1))
    tell(filters.planned + len(probes(most, key_in_query=key_in_query)) + 3)
    sides.compare("no filter", Request(), first)
    _tell_unseen(sides)
    _order(sides)
    filters.compare()
    if not key_in_query:
        sides.report.skip("the key in the query: URLs are written into logs on their way")
    values = Values(filters.seen, filters.carrier())
    left: dict[str, dict[str, None]] = {}
    for probe in (*probes(values, key_in_query=key_in_query), *_across(filters)):
        need = _differing_need(sides, filters, probe)
        if need is None:
            _probe(sides, filters, probe)
        else:
            sides.failed.add(probe.topic)
            left.setdefault(need, {})[probe.topic] = None
    sides.report.left_out = sum(map(len, left.values()))
    for need, topics in left.items():
        sides.report.skip(f"what builds on {need}, where the two differ: {', '.join(topics)}")


def _tell_unseen(sides: Sides) -> None:
    """Note what of the properties these releases cannot show."""
    model, skip = sides.model, sides.report.skip
    if not model.ids:
        skip("the properties of releases: there are none")
        return
    for ids, why in (
        (model.shared, "that share their id"),
        (model.unheld, "that no scenario can hold"),
    ):
        if ids:
            skip(f"the properties of releases {why}: {', '.join(map(str, sorted(ids)))}")
    unseen = [name for name in model.unseen() if not sides.report.is_about(name)]
    if unseen:
        skip(f"properties that no release has: {', '.join(unseen)}")


def _across(filters: Filters) -> Iterable[Probe]:
    """One filter in the query and another one in JSON."""
    seen = filters.seen
    pair = (("status", seen["status"][0]),) if seen["status"] else ()
    for name in ("applicationId", "releaseId"):
        if pair and seen[name]:
            request = Request("POST", pair, ((name, seen[name][0]),), JSON)
            needs = (TOGETHER, IN_JSON, BY_QUERY)
            yield Probe("filters in the query and in JSON", request, ("status", name), needs)
            return


def _differing_need(sides: Sides, filters: Filters, probe: Probe) -> str | None:
    """What a probe builds on and is not as in the mock, so that it could only tell that again."""
    off = filters.dead if sides.mocked(probe.request) is None else filters.other
    needs = (need for need in probe.needs if need in sides.failed)
    return next(needs, None) or next((f"filter {name}" for name in probe.uses if name in off), None)


def _probe(sides: Sides, filters: Filters, probe: Probe) -> None:
    mocked = sides.mocked(probe.request)
    ids = sides.ask(probe.topic, probe.request)
    if ids is None or mocked is None:
        return
    if not filters.agree(ids, mocked, probe.uses):
        both = sides.told(ids), sides.told(mocked)
        sides.fail(probe.topic, "selection", str(probe.request), *both)


def _order(sides: Sides) -> None:
    """Compare the order of all releases."""
    model, report = sides.model, sides.report
    if len(model.ids) < 2:
        report.skip("the order of releases: there are less than two")
    elif model.unsure["createdOn"]:
        report.skip("the order of releases: not every one has a createdOn that can be read")
    elif model.ids != model.newest_first():
        mock = "newest first, by createdOn and then by id"
        server = _order_of(model.ids, model.held)
        report.add(("order",), [THE_ARRAY], server, mock, str(Request()))
    elif list(model.ids) == sorted(model.ids, reverse=True):
        report.skip("whether newest first is by createdOn or by id: here it is the same")


def _order_of(ids: tuple[int, ...], held: Mapping[int, Mapping[str, Any]]) -> str:
    """An order in words."""
    moments = [str(held[id_]["createdOn"]) for id_ in ids]
    if moments == sorted(moments, reverse=True):
        return "newest first, and another order where createdOn is the same"
    if moments == sorted(moments):
        return "oldest first"
    if list(ids) == sorted(ids):
        return "by id, lowest first"
    return "by id, highest first" if list(ids) == sorted(ids, reverse=True) else "another order"
