"""Does a real server still answer like the mock? Both get the same requests, and are compared.

The mock is one in this process, with the releases that the server answered. Nothing is written at
the server: it gets `GET`, `HEAD` and `POST` requests to `/api/releases`, which only read [S].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from ..endpoints.releases import FILTERS, STATUSES
from . import probes
from .asking import Answer, CannotVerify, Masked, Request, Server
from .findings import Privacy, Report
from .model import Model
from .probes import IDS, NO_ID, NO_TEXT, NUMBER, TEXTS, TWINS, Ids, Rule, Sent, selected

__all__ = ["CannotVerify", "Model", "Privacy", "Report", "Server", "verify"]

BOTH = "both have to match"
THE_ARRAY, TOGETHER = "the array of releases", "two filters together"
MAX_TEXT = 500  # letters of a value that is sent
PAIRS = (
    *("status applicationName", "applicationId releaseNumber", "releaseName status"),
    *("status pipelineName", "applicationId status", "releaseId applicationName"),
)
MAX_PAIRS = 3  # of filters, the first of `PAIRS` which work, are sent together


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
    tell: is called with the highest number of requests that there will be.
    Returns: the report, and what the server has; None for the latter where it is not releases.
    Raises: CannotVerify.
    """
    for _ in range(2):
        report = Report(server.url)
        first = server.ask(Request())
        found = _releases(first, server.url)
        if found is None:
            both = "JSON that is not an array of objects", "an array of objects"
            report.add(("body",), "no filter", *both, str(Request()))
            report.skip("everything else")
            report.requests = server.sent
            return report, None
        privacy.learn(found)
        model = Model(found)
        report.releases = len(model.found)
        _Comparison(server, model, report, privacy, sample).run(first, key_in_query, tell)
        last = server.ask(Request()).releases
        report.requests = server.sent
        if last == found:
            return report, model
    why = "the releases changed while they were compared, twice; try again when no one uses it"
    raise CannotVerify(f"{server.url}: {why}")


def _releases(answer: Answer, url: str) -> list[dict[str, Any]] | None:
    """The releases of the first answer; None where it is another kind of JSON."""
    status, why = answer.status, ""
    if status in (401, 403):
        why = f"refuses the API key: it answers {status}"
    elif 300 <= status < 400:
        why = "redirects elsewhere, perhaps to a login page; redirects are not followed"
    elif status != 200:
        why = f"answers {status} to GET /api/releases; is it the base URL of a BuildMaster?"
    elif not answer.is_json:
        is_page = "html" in answer.content_type or answer.body.lstrip()[:1] == b"<"
        kind = "a web page, perhaps for a login" if is_page else "something that is not JSON"
        why = f"answers {kind}"
    if why:
        raise CannotVerify(f"{url} {why}")
    return answer.releases


class _Comparison:
    def __init__(
        self, server: Server, model: Model, report: Report, privacy: Privacy, sample: int
    ) -> None:
        self.server, self.model, self.report, self.privacy = server, model, report, privacy
        self.failed: set[str] = set()  # topics in which the two differ
        self.no_match: set[int] = set()  # statuses by which the server says that nothing matches
        self.rules: dict[str, Rule] = {}  # of the filters that are not as in the mock
        self.held = {name: model.values(property_) for name, property_ in FILTERS.items()}
        self.values = {name: self.choose(name, sample) for name in FILTERS}

    def run(self, first: Answer, key_in_query: bool, tell: Callable[[int], object]) -> None:
        """Compare everything. first: the server's answer without filters."""

        def table(carrier: tuple[str, Any]) -> list[tuple[str, Request, list[str]]]:
            unused = () if key_in_query else ("the key in the query",)
            if not (self.values["status"] and any(self.values[name] for name in IDS)):
                unused = (*unused, "filters in the query and in JSON")
            rows = probes.probes(self.values, carrier)
            return [row for row in rows if not row[0].startswith(unused)]

        plans = {name: self.plan(name) for name in FILTERS}
        filters = sum(map(len, plans.values()))
        tell(filters + 2 * MAX_PAIRS + len(table(("releaseId", 1))) + 2)
        self.compare("no filter", Request(), first)
        self.skip_properties()
        self.skip_filters()
        self.compare_order()
        self.compare_filters(plans)
        self.compare_pairs()
        if not key_in_query:
            self.report.skip("the key in the query: URLs are written into logs on their way")
        left_out: dict[str, dict[str, None]] = {}
        for topic, request, needs in table(self.carrier()):
            need = self.lacking(request, needs)
            if need:
                self.failed.add(topic)
                left_out.setdefault(need, {})[topic] = None
            else:
                self.probe(topic, request)
        self.report.left_out = sum(map(len, left_out.values()))
        for need, topics in left_out.items():
            self.report.skip(f"what builds on {need}, where the two differ: {', '.join(topics)}")

    def lacking(self, request: Request, needs: list[str]) -> str:
        """What a request builds on and is not as in the mock, so that it could only show that."""
        is_refused = self.mocked(request) is None
        needs = [*needs, *([TOGETHER] if len(request.filters) > 1 and not is_refused else [])]
        off = [name for name, rule in self.rules.items() if rule.is_dead or not is_refused]
        lacks = [need for need in needs if need in self.failed]
        return (*lacks, *(f"filter {name}" for name in request.filters if name in off), "")[0]

    def probe(self, topic: str, request: Request) -> None:
        real, mocked = self.ask(topic, request), self.mocked(request)
        if real is not None and mocked is not None:
            limit = max((rule.limit for rule in self.rules.values()), default=0)
            one, other = self.sure(real, request.filters), self.sure(mocked, request.filters)
            if one != other and not (limit and probes.is_cut(one, other, limit)):
                self.failed.add(topic)
                both = self.describe(real), self.describe(mocked)
                self.report.add(("selection", topic), topic, *both, str(request))

    def ask(self, topic: str, request: Request, misses: Collection[int] = ()) -> list[int] | None:
        """Send a request to both, and compare the answers, except for which releases come.

        misses: statuses by which the server may say that nothing matches.
        Returns: the ids of the server's releases that are known; None where there are none.
        """
        real = self.server.ask(request)
        if real.status in misses and self.mocked(request) == []:
            self.no_match.add(real.status)
        return self.compare(topic, request, real)

    def mocked(self, request: Request) -> list[int] | None:
        """The ids that the mock answers, or would to GET; None where it refuses the request."""
        method = "GET" if request.method == "HEAD" else request.method
        answer = self.model.mock.ask(replace(request, method=method))
        return self.model.ids(answer.releases or ()) if answer.status == 200 else None

    def describe(self, ids: Collection[int]) -> str:
        some = f"{len(ids)} of the releases" if ids else "[]"
        return f"200 with {'all releases' if len(ids) == len(self.model.found) > 0 else some}"

    def compare(self, topic: str, request: Request, real: Answer) -> list[int] | None:
        """Compare the server's answer to a request with the mock's; returns what `ask` does."""
        mocked = self.model.mock.ask(request)
        if real.status != mocked.status:
            return self.compare_status(topic, request, real, mocked.status)
        add, status, example = self.report.add, str(real.status), str(request)
        has_type = request.method == "HEAD" or (real.body and mocked.body)
        if has_type and real.content_type != mocked.content_type:
            both = self.privacy(real.content_type[:80]) or "none", mocked.content_type
            add(("content-type", status), f"Content-Type of a {status}", *both, example)
        if mocked.status != 200 and bool(real.body) != bool(mocked.body):
            both = ("some text", "nothing") if real.body else ("nothing", "some text")
            add(("error-body", status), f"the body of a {status}", *both, example)
        if mocked.status != 200 or request.method == "HEAD":
            return None
        if real.releases is None:
            self.failed.add(topic)
            add(("body",), topic, "not an array of releases", "an array of releases", example)
            return None
        for oddity in real.oddities:
            add(("body", oddity), THE_ARRAY, oddity, "standard JSON in UTF-8", example)
        return self.compare_array(real.releases, request)

    def compare_status(
        self, topic: str, request: Request, real: Answer, mocked: int
    ) -> list[int] | None:
        one, other, example = str(real.status), str(mocked), str(request)
        if mocked == 200 and real.status in self.no_match and self.mocked(request) == []:
            about = "filters that nothing matches"
            self.report.add(("no-match", one), about, one, "200 with []", example)
            return []
        self.failed.add(topic)
        key = ("error-status", other, one)
        if mocked == 200:
            key = ("refused", topic, "")
        elif real.status // 100 == 2:
            key = ("accepted", topic, "")
            found = real.releases
            one = one if found is None else self.describe(self.model.ids(found))
        self.report.add(key, topic, one, other, example)
        return None

    def compare_array(self, releases: list[dict[str, Any]], request: Request) -> list[int]:
        example = str(request)
        where = "" if request == Request() else f" in {example}"
        for release in releases:
            id_ = self.model.identify(release)
            found = self.model.differences(id_, release, is_filtered=bool(where))
            for kind, cause, name, server, mock in found:
                seen, once = f"release {id_}{where}", ""
                if kind == "status-value":
                    once = release[name]
                    seen = f"{self.privacy(once)[:40]!r}, as of {seen}"
                self.report.add((kind, cause), self.privacy(name), server, mock, seen, once)
        every = self.model.ids(releases)
        ids = list(dict.fromkeys(every))
        if len(every) < len(releases):
            both = "leaves out releases that it has with a filter", "has all without a filter"
            self.report.add(("release-hidden",), THE_ARRAY, *both, example)
        if len(ids) < len(every):
            both = "has a release twice", "has it once"
            if not self.model.shared.isdisjoint(every):
                both = "several releases share an id", "each has its own"
            self.report.add(("release-twice",), THE_ARRAY, *both, example)
        among = set(ids)
        if ids != [id_ for id_ in self.model.found if id_ in among]:
            both = "another order than without filters", "the same order as without filters"
            self.report.add(("order-filtered",), THE_ARRAY, *both, example)
        return ids

    def compare_order(self) -> None:
        """Compare the order of all releases."""
        ids = list(self.model.found)
        created = {id_: release["createdOn"] for id_, release in self.model.held.items()}
        if len(ids) < 2:
            self.report.skip("the order of releases: there are fewer than two")
        elif self.model.unsure["createdOn"]:
            why = "not every one has a createdOn that can be read"
            self.report.skip(f"the order of releases: {why}")
        elif ids != sorted(ids, key=lambda id_: (created[id_], id_), reverse=True):
            is_oldest_first = ids == sorted(ids, key=lambda id_: (created[id_], id_))
            server = "oldest first" if is_oldest_first else "another order"
            mock = "newest first, by createdOn and then by id"
            self.report.add(("order",), THE_ARRAY, server, mock, str(Request()))
        elif ids == sorted(ids, reverse=True):
            what = "whether newest first is by createdOn or by id: here it is the same"
            self.report.skip(what)

    def choose(self, name: str, sample: int) -> list[Any]:
        """Values of releases to send for a filter, the one that shows most first."""
        found = {value for value in self.held[name].values() if value is not None}
        if name == "status":
            return [status for status in STATUSES if status in found]
        if name in TEXTS:
            hidden = {text for text in found if self.privacy.without_key(text) != text}
            found = {text for text in found - hidden if 0 < len(text) <= MAX_TEXT}
        fit = sorted(found, key=lambda value: (not _shows_much(value), value))
        count = len(fit)
        taken = fit if count <= sample else [fit[i * count // sample] for i in range(sample)]
        if name in IDS:
            return taken
        if all(map(str.isascii, taken)):
            taken += [text for text in fit if not text.isascii()][:1]
        if not any(map(NUMBER.fullmatch, taken)):
            taken += [text for text in fit if NUMBER.fullmatch(text)][:1]
        shown = map(self.privacy, taken)
        return [a if a == b else Masked(a, b) for a, b in zip(taken, shown, strict=True)]

    def plan(self, name: str) -> dict[Any, str]:
        """The values that are sent for a filter, and their kinds; first those of releases."""
        plan: dict[Any, str] = dict.fromkeys(self.values[name], probes.VALUE)
        missing = STATUSES if name == "status" else (NO_ID, -1) if name in IDS else (NO_TEXT,)
        more = [(probes.MISSING, value) for value in missing]
        if name in TEXTS:
            more += probes.variants(self.values[name])
            twins = self.values[TWINS[name]] if name in TWINS else []
            others = [value for value in twins if not selected(value, self.held[name])]
            more += [(probes.TWIN, value) for value in others[:1]]
        for kind, value in more:
            plan.setdefault(value, kind)
        return plan

    def compare_filters(self, plans: dict[str, dict[Any, str]]) -> None:
        """Compare what each filter selects."""
        sent: dict[str, list[Sent]] = {}
        for name, plan in plans.items():
            held = self.held[name]
            if self.model.found and not held:
                self.rules[name] = probes.OTHERWISE._replace(is_dead=False)
                continue
            misses = (204, *range(400, 500)) if self.values[name] else () if held else (204, 404)
            for value, kind in plan.items():
                ids = self.ask(f"filter {name}", Request(query=((name, value),)), misses)
                if ids is None:
                    self.rules[name] = probes.OTHERWISE
                    sent.pop(name, None)
                    break
                seen = Sent(kind, value, self.sure(ids, [name]), selected(value, held))
                sent.setdefault(name, []).append(seen)

        def explain(known: Iterable[str]) -> dict[str, Rule]:
            twins = {name: self.held[TWINS[name]] if name in TWINS else {} for name in sent}
            rules = {n: probes.explain(sent[n], self.held[n], twins[n], known) for n in sent}
            return {name: rule for name, rule in rules.items() if rule}

        # What a filter's values cannot show, such as case in numbers, may be as in another filter.
        known = dict.fromkeys(rule.server for rule in explain(()).values())
        fits = {words: [rule.server for rule in explain([words]).values()] for words in known}
        rules = explain(sorted(known, key=lambda words: -fits[words].count(words)))
        self.rules |= rules
        for name, rule in rules.items():
            names = {"own": FILTERS[name], "twin": FILTERS[TWINS.get(name, name)]}
            key = (rule.kind, name if rule == probes.OTHERWISE else rule.server)
            both = rule.server.format(**names), rule.mock.format(**names)
            for _, value, real, mocked in sent[name]:
                if real != mocked:
                    self.report.add(
                        key, f"filter {name}", *both, str(Request(query=((name, value),)))
                    )

    def compare_pairs(self) -> None:
        """Compare what two filters select together."""
        working = {name for name in FILTERS if self.values[name] and name not in self.rules}
        pairs = [names for pair in PAIRS if working.issuperset(names := pair.split())]
        if not pairs:
            self.report.skip(f"{TOGETHER}: there are no two that select what they should")
            self.failed.add(TOGETHER)
        for one, other in pairs[:MAX_PAIRS]:
            choices = product(self.values[one], self.values[other])
            named = [((one, a), (other, b)) for a, b in choices]
            best = max(named, key=lambda pair: len(set(self.combine(*pair).values())))
            self.compare_pair(*best)
            if other != "status":
                self.compare_pair(best[0], (other, NO_TEXT))

    def compare_pair(self, *pair: tuple[str, Any]) -> None:
        request = Request(query=pair)
        ids, ways = self.ask(TOGETHER, request), self.combine(*pair)
        found = self.sure(ids or (), request.filters)
        way = next((way for way, selection in ways.items() if selection == found), "otherwise")
        if ids is not None and way != BOTH:
            self.failed.add(TOGETHER)
            self.report.add(("combining",), TOGETHER, way, BOTH, str(request))

    def combine(self, *pair: tuple[str, Any]) -> dict[str, Ids]:
        """What two filters select, by how a server may combine them."""
        one, other = (selected(value, self.held[name]) for name, value in pair)
        ways = {BOTH: one & other, "one that matches is enough": one | other}
        return {**ways, "only the first counts": one, "only the second counts": other}

    def sure(self, ids: Iterable[int], names: Iterable[str]) -> Ids:
        """The releases among these about which the values of these filters are known."""
        return frozenset(ids).intersection(*(self.held[name] for name in names))

    def carrier(self) -> tuple[str, Any]:
        """A filter and a value that show whether a parameter had an effect."""
        names = [n for n in (*IDS[::-1], "status", *TEXTS) if n not in self.rules] or ["releaseId"]
        for name in names:
            for value in self.values[name]:
                if 0 < len(selected(value, self.held[name])) < len(self.model.found):
                    return name, value
        name = names[0]
        return name, "canceled" if name == "status" else NO_ID if name in IDS else NO_TEXT

    def skip_properties(self) -> None:
        """Note what of properties these releases cannot show."""
        seen = {name for finding in self.report.findings.values() for name in finding.about}
        unseen = [name for name in self.model.unseen if name not in seen]
        for what, names in (
            ("the properties of releases that share their id", sorted(self.model.shared)),
            ("the properties of releases that no scenario can hold", sorted(self.model.unheld)),
            ("properties that no release has", unseen if self.model.found else ["all"]),
        ):
            if names:
                self.report.skip(f"{what}: {', '.join(map(str, names))}")

    def skip_filters(self) -> None:
        """Note what of filters these releases cannot show."""
        skip = self.report.skip
        missing = [status for status in STATUSES if status not in self.values["status"]]
        if missing:
            skip(f"filter status: no release is {' or '.join(missing)}")
        for name in (*IDS, *TEXTS):
            if not self.values[name]:
                skip(f"filter {name}: no release has a value that could be sent")
            elif not any(map(_shows_much, self.values[name])) and name in TEXTS:
                skip(f"filter {name}: no value has letters to show what case does")
        for one, other in (IDS, *combinations(TEXTS, 2)):
            if any(self.held[one].values()) and self.held[one] == self.held[other]:
                same = f"{FILTERS[one]} and {FILTERS[other]} of each release are the same"
                skip(f"whether filters {one} and {other} are swapped: {same}")
        texts = [text for name in TEXTS for text in self.values[name]]
        if texts and all(map(str.isascii, texts)):
            skip("case and accents of letters beyond ASCII: no value has such a letter")
        if texts and not any(map(NUMBER.fullmatch, (t for n in TWINS for t in self.values[n]))):
            what = "no releaseNumber or releaseName could be one"
            skip(f"whether a number in JSON selects as its text does: {what}")


def _shows_much(value: Any) -> bool:
    """Whether variants of a text tell ways of comparing apart."""
    is_text = isinstance(value, str) and len(value) > 3 and value.strip() == value
    return is_text and probes.other_case(value) != value
