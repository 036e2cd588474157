"""Does a real server still answer like the mock? Both get the same requests, and are compared.

The mock is one in this process, with the records that the server answered. Nothing is written at
the server: it gets `GET`, `HEAD` and `POST` requests to the endpoints that list records [S, V].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from . import probes
from .asking import Answer, CannotVerify, Masked, Request, Server
from .findings import Privacy, Report
from .model import Listed, Model, scenario
from .probes import NO_ID, NO_TEXT, NUMBER, TWINS, Ids, Rule, Sent, selected

__all__ = ["CannotVerify", "Model", "Privacy", "Report", "Server", "scenario", "verify"]

KINDS = ("releases", "builds", "deployments", "applications")
BOTH = "both have to match"
TOGETHER = "two filters together"
MAX_TEXT = 500  # letters of a value that is sent
PAIRS = (
    *("status applicationName", "applicationId releaseNumber", "releaseName status"),
    *("status pipelineName", "applicationId status", "releaseId applicationName"),
)
MAX_PAIRS = 3  # of filters, the first of `PAIRS` which work, are sent together
OTHER_SAMPLE = 2  # values of each filter of other records than releases
OTHER_VARIANTS = ("case", "beginning")  # of these values


def verify(
    server: Server,
    privacy: Privacy,
    *,
    sample: int = 3,
    key_in_query: bool = False,
    tell: Callable[[str, int], object] = lambda _what, _most: None,
) -> tuple[Report, list[Model]]:
    """Compare a server with the mock.

    sample: values of each filter that are sent.
    key_in_query: whether the key may go into a URL, which servers and proxies write into logs.
    tell: is called with a kind of record and the highest number of requests that are about it.
    Returns: the report, and what the server has; nothing of the latter where it is not releases.
    Raises: CannotVerify.
    """
    report, models = Report(server.url), []
    for name in KINDS:
        part, model = _verify(server, Listed(name), privacy, sample, key_in_query, tell)
        report.merge(part)
        if model is not None:
            models.append(model)
        elif name == "releases":
            report.skip("everything else")
            break
    report.requests = server.sent
    return report, models


def _verify(
    server: Server,
    listed: Listed,
    privacy: Privacy,
    sample: int,
    key_in_query: bool,
    tell: Callable[[str, int], object],
) -> tuple[Report, Model | None]:
    """Compare what a server has of one kind of record, twice where that changes meanwhile.

    Without releases there is nothing to compare; what is wrong with other records is reported.
    """
    name = listed.kind.name
    is_first = name == "releases"
    for _ in range(2):
        report = Report(server.url, "" if is_first else f"{name}: ", records={name: 0})
        first = server.ask(listed.plain)
        found, why = first.records, _refusal(first, listed.plain)
        if why and is_first:
            raise CannotVerify(f"{server.url} {why}")
        if first.status == 404:
            report.add(("refused",), "no filter", "404", "200", str(listed.plain))
            return report, None
        if why:
            report.skip(f"the server {why}")
            return report, None
        if found is None:
            both = "JSON that is not an array of objects", "an array of objects"
            report.add(("body",), "no filter", *both, str(listed.plain))
            return report, None
        privacy.learn(found)
        model = Model(listed, found)
        report.records[name] = len(model.found)
        comparison = _Comparison(server, model, report, privacy, sample)
        comparison.run(first, key_in_query, lambda most: tell(name, most))
        if server.ask(listed.plain).records == found:
            return report, model
    why = f"the {name} changed while they were compared, twice; try again when no one uses it"
    if is_first:
        raise CannotVerify(f"{server.url}: {why}")
    report = Report(server.url, report.prefix, records=report.records)
    report.skip(why)
    return report, model


def _refusal(answer: Answer, request: Request) -> str:
    """Why a first answer has no records; "" where it is JSON."""
    status = answer.status
    if status in (401, 403):
        return f"refuses the API key: it answers {status}"
    if 300 <= status < 400:
        return "redirects elsewhere, perhaps to a login page; redirects are not followed"
    if status != 200:
        return f"answers {status} to {request}; is it the base URL of a BuildMaster?"
    if answer.is_json:
        return ""
    is_page = "html" in answer.content_type or answer.body.lstrip()[:1] == b"<"
    kind = "a web page, perhaps for a login" if is_page else "something that is not JSON"
    return f"answers {kind}"


class _Comparison:
    def __init__(
        self, server: Server, model: Model, report: Report, privacy: Privacy, sample: int
    ) -> None:
        self.server, self.model, self.report, self.privacy = server, model, report, privacy
        self.listed, self.noun, self.nouns = model.listed, model.kind.noun, model.kind.name
        self.is_whole = self.nouns == "releases"  # how a request is read is the same elsewhere
        self.array = f"the array of {self.nouns}"
        self.failed: set[str] = set()  # topics in which the two differ
        self.no_match: set[int] = set()  # statuses by which the server says that nothing matches
        self.rules: dict[str, Rule] = {}  # of the filters that are not as in the mock
        self.filters = self.listed.filters if self.is_whole or model.found else {}
        sample = sample if self.is_whole else min(sample, OTHER_SAMPLE)
        self.held = {name: model.values(property_) for name, property_ in self.filters.items()}
        self.values = {name: self.choose(name, sample) for name in self.filters}

    def run(self, first: Answer, key_in_query: bool, tell: Callable[[int], object]) -> None:
        """Compare everything. first: the server's answer without filters."""

        def table(carrier: tuple[str, Any]) -> list[tuple[str, Request, list[str]]]:
            rows = probes.probes(
                self.listed.plain, self.listed.statuses or ("",), self.values, carrier
            )
            if not self.is_whole:
                only = probes.OF_SIBLINGS if self.filters else probes.OF_ANY
                return [row for row in rows if row[0] in only]
            unused = () if key_in_query else ("the key in the query",)
            if not (self.values["status"] and any(self.values[name] for name in self.listed.ids)):
                unused = (*unused, "filters in the query and in JSON")
            return [row for row in rows if not row[0].startswith(unused)]

        plans = {name: self.plan(name) for name in self.filters}
        filters = sum(map(len, plans.values()))
        tell(filters + (2 * MAX_PAIRS if plans else 0) + len(table(("releaseId", 1))) + 2)
        self.compare("no filter", self.listed.plain, first)
        if self.is_whole:
            self.skip_properties()
            self.skip_filters()
        else:
            self.skip_others()
        self.compare_order()
        self.compare_filters(plans)
        if plans:
            self.compare_pairs()
        if self.is_whole and not key_in_query:
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

    def filtered(self, *pairs: tuple[str, Any]) -> Request:
        """The request for what these filters select."""
        return replace(self.listed.plain, query=pairs)

    def lacking(self, request: Request, needs: list[str]) -> str:
        """What a request builds on and is not as in the mock, so that it could only show that."""
        is_refused, filters = self.mocked(request) is None, request.filters(self.filters)
        needs = [*needs, *([TOGETHER] if len(filters) > 1 and not is_refused else [])]
        off = [name for name, rule in self.rules.items() if rule.is_dead or not is_refused]
        lacks = [need for need in needs if need in self.failed]
        return (*lacks, *(f"filter {name}" for name in filters if name in off), "")[0]

    def probe(self, topic: str, request: Request) -> None:
        real, mocked = self.ask(topic, request), self.mocked(request)
        if real is not None and mocked is not None:
            limit = max((rule.limit for rule in self.rules.values()), default=0)
            one, other = (self.sure(ids, request.filters(self.filters)) for ids in (real, mocked))
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
        return self.model.ids(answer.records or ()) if answer.status == 200 else None

    def describe(self, ids: Collection[int]) -> str:
        some = f"{len(ids)} of the {self.nouns}" if ids else "[]"
        return f"200 with {f'all {self.nouns}' if len(ids) == len(self.model.found) > 0 else some}"

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
        if real.records is None:
            self.failed.add(topic)
            array = f"an array of {self.nouns}"
            add(("body",), topic, f"not {array}", array, example)
            return None
        for oddity in real.oddities:
            add(("body", oddity), self.array, oddity, "standard JSON in UTF-8", example)
        return self.compare_array(real.records, request)

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
            found = real.records
            one = one if found is None else self.describe(self.model.ids(found))
        self.report.add(key, topic, one, other, example)
        return None

    def compare_array(self, releases: list[dict[str, Any]], request: Request) -> list[int]:
        example = str(request)
        where = "" if request == self.listed.plain else f" in {example}"
        for release in releases:
            id_ = self.model.identify(release)
            found = self.model.differences(id_, release, is_filtered=bool(where))
            for kind, cause, name, server, mock in found:
                seen, once = f"{self.noun} {id_}{where}", ""
                if kind == "status-value":
                    once = release[name]
                    seen = f"{self.privacy(once)[:40]!r}, as of {seen}"
                self.report.add((kind, cause), self.privacy(name), server, mock, seen, once)
        every = self.model.ids(releases)
        ids = list(dict.fromkeys(every))
        if len(every) < len(releases):
            what = f"leaves out {self.nouns} that it has with a filter"
            both = what, "has all without a filter"
            self.report.add(("release-hidden",), self.array, *both, example)
        if len(ids) < len(every):
            both = f"has a {self.noun} twice", "has it once"
            if not self.model.shared.isdisjoint(every):
                both = f"several {self.nouns} share an id", "each has its own"
            self.report.add(("release-twice",), self.array, *both, example)
        among = set(ids)
        if ids != [id_ for id_ in self.model.found if id_ in among]:
            both = "another order than without filters", "the same order as without filters"
            self.report.add(("order-filtered",), self.array, *both, example)
        return ids

    def compare_order(self) -> None:
        """Compare the order of all records, where they have a date."""
        ids = list(self.model.found)
        created = {id_: record.get("createdOn") for id_, record in self.model.held.items()}
        if not self.model.kind.dates or not (ids or self.is_whole):
            return
        if len(ids) < 2:
            self.report.skip(f"the order of {self.nouns}: there are fewer than two")
        elif self.model.unsure["createdOn"]:
            why = "not every one has a createdOn that can be read"
            self.report.skip(f"the order of {self.nouns}: {why}")
        elif ids != sorted(ids, key=lambda id_: (created[id_], id_), reverse=True):
            is_oldest_first = ids == sorted(ids, key=lambda id_: (created[id_], id_))
            server = "oldest first" if is_oldest_first else "another order"
            mock = "newest first, by createdOn and then by id"
            self.report.add(("order",), self.array, server, mock, str(self.listed.plain))
        elif ids == sorted(ids, reverse=True) and self.is_whole:
            what = "whether newest first is by createdOn or by id: here it is the same"
            self.report.skip(what)

    def choose(self, name: str, sample: int) -> list[Any]:
        """Values of releases to send for a filter, the one that shows most first."""
        found = {value for value in self.held[name].values() if value is not None}
        if name == "status":
            return [status for status in self.listed.statuses if status in found]
        if name in self.listed.texts:
            hidden = {text for text in found if self.privacy.without_key(text) != text}
            found = {text for text in found - hidden if 0 < len(text) <= MAX_TEXT}
        fit = sorted(found, key=lambda value: (not _shows_much(value), value))
        count = len(fit)
        taken = fit if count <= sample else [fit[i * count // sample] for i in range(sample)]
        if name in self.listed.ids or not self.is_whole:
            return [*map(self.masked, taken)]
        if all(map(str.isascii, taken)):
            taken += [text for text in fit if not text.isascii()][:1]
        if not any(map(NUMBER.fullmatch, taken)):
            taken += [text for text in fit if NUMBER.fullmatch(text)][:1]
        return [*map(self.masked, taken)]

    def masked(self, value: Any) -> Any:
        """A value to send, which the report shows without persons."""
        shown = self.privacy(value) if isinstance(value, str) else value
        return value if shown == value else Masked(value, shown)

    def plan(self, name: str) -> dict[Any, str]:
        """The values that are sent for a filter, and their kinds; first those of releases."""
        plan: dict[Any, str] = dict.fromkeys(self.values[name], probes.VALUE)
        missing: Sequence[Any] = (NO_ID, -1) if name in self.listed.ids else (NO_TEXT,)
        missing = self.listed.statuses if name == "status" else missing
        more = [(probes.MISSING, value) for value in missing]
        if name in self.listed.texts:
            variants = probes.variants(self.values[name])
            more += [each for each in variants if self.is_whole or each[0] in OTHER_VARIANTS]
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
                ids = self.ask(f"filter {name}", self.filtered((name, value)), misses)
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
            names = {"own": self.filters[name], "twin": self.filters[TWINS.get(name, name)]}
            key = (rule.kind, name if rule == probes.OTHERWISE else rule.server)
            both = rule.server.format(**names), rule.mock.format(**names)
            for _, value, real, mocked in sent[name]:
                if real != mocked:
                    self.report.add(key, f"filter {name}", *both, str(self.filtered((name, value))))

    def compare_pairs(self) -> None:
        """Compare what two filters select together."""
        working = {name for name in self.filters if self.values[name] and name not in self.rules}
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
        request = self.filtered(*pair)
        ids, ways = self.ask(TOGETHER, request), self.combine(*pair)
        found = self.sure(ids or (), request.filters(self.filters))
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
        names = [*self.listed.ids[::-1], "status", *self.listed.texts]
        names = [name for name in names if name in self.values and name not in self.rules]
        names = names or ["releaseId"]
        for name in names:
            for value in self.values.get(name, ()):
                if 0 < len(selected(value, self.held[name])) < len(self.model.found):
                    return name, value
        name = names[0]
        return (
            name,
            "canceled" if name == "status" else NO_ID if name in self.listed.ids else NO_TEXT,
        )

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
        skip, ids, texts = self.report.skip, self.listed.ids, self.listed.texts
        missing = [status for status in self.listed.statuses if status not in self.values["status"]]
        if missing:
            skip(f"filter status: no release is {' or '.join(missing)}")
        for name in (*ids, *texts):
            if not self.values[name]:
                skip(f"filter {name}: no release has a value that could be sent")
            elif not any(map(_shows_much, self.values[name])) and name in texts:
                skip(f"filter {name}: no value has letters to show what case does")
        for one, other in (ids, *combinations(texts, 2)):
            if any(self.held[one].values()) and self.held[one] == self.held[other]:
                same = f"{self.filters[one]} and {self.filters[other]} of each release are the same"
                skip(f"whether filters {one} and {other} are swapped: {same}")
        found = [text for name in texts for text in self.values[name]]
        if found and all(map(str.isascii, found)):
            skip("case and accents of letters beyond ASCII: no value has such a letter")
        if found and not any(map(NUMBER.fullmatch, (t for n in TWINS for t in self.values[n]))):
            what = "no releaseNumber or releaseName could be one"
            skip(f"whether a number in JSON selects as its text does: {what}")

    def skip_others(self) -> None:
        """Note what of filters other records than releases cannot show."""
        unsent = [name for name, values in self.values.items() if not values]
        if not self.model.found:
            self.report.skip(f"there are no {self.nouns}")
        elif unsent:
            self.report.skip(f"no {self.noun} has a value for {', '.join(unsent)}")


def _shows_much(value: Any) -> bool:
    """Whether variants of a text tell ways of comparing apart."""
    is_text = isinstance(value, str) and len(value) > 3 and value.strip() == value
    return is_text and probes.other_case(value) != value
