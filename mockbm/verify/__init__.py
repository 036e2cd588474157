"""Does a real server still answer like the mock? Both get the same requests, and are compared.

The mock is one in this process, with the records that the server answered. Nothing is written at
the server: it gets `GET`, `HEAD` and `POST` requests to the endpoints that list records [S, V].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any

from ..core.mock import Mock
from ..settings import Settings
from . import probes
from .asking import Answer, CannotVerify, Masked, Request, Server
from .findings import Privacy, Report
from .model import Model, all_of
from .probes import NO_ID, NO_TEXT, NUMBER, TWINS, Ids, Rule, Sent, selected

__all__ = ["CannotVerify", "Model", "Privacy", "Report", "Server", "verify"]

KINDS = ("releases", "builds", "deployments", "applications")
BOTH = "both have to match"
TOGETHER = "two filters together"
AGAIN = "try again when no one uses it"
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
    mock = Settings(scenario="empty").mock()
    for name in KINDS:
        for _ in range(2):
            part = Report(server.url, "" if name == "releases" else f"{name}: ", records={name: 0})
            model = _fetch(server, mock, name, part)
            if model is None:
                break
            part.records[name] = len(model.found)
            privacy.learn(model.first.records or [])
            comparison = _Comparison(server, model, part, privacy, sample, key_in_query)
            comparison.run(tell)
            if server.ask(model.plain).records == model.first.records:
                break
        else:
            why = f"the {name} changed while they were compared, twice; {AGAIN}"
            if name == "releases":
                raise CannotVerify(f"{server.url}: {why}")
            part = Report(server.url, part.prefix, records=part.records)
            part.skip(why)
        report.merge(part)
        if model is not None:
            models.append(model)
        elif name == "releases":
            report.skip("everything else")
            break
    report.requests = server.sent
    return report, models


def _fetch(server: Server, mock: Mock, name: str, report: Report) -> Model | None:
    """All records of a kind; where there are none to compare, that is reported.

    Raises: CannotVerify where these are releases, without which there is nothing to compare.
    """
    request = all_of(name)
    answer = server.ask(request)
    why = _refusal(answer, request)
    if why and name == "releases":
        raise CannotVerify(f"{server.url} {why}")
    if answer.status == 404:
        report.add("refused", "no filter", "404", "200", request)
    elif why:
        report.skip(f"the server {why}")
    elif answer.records is None:
        both = "JSON that is not an array of objects", "an array of objects"
        report.add("body", "no filter", *both, request)
    else:
        return Model(name, answer, mock)
    return None


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


@dataclass
class _Comparison:
    """Compares what a server and the mock answer about one kind of record.

    failed: topics in which the two differ.
    no_match: statuses by which the server says that nothing matches.
    rules: of the filters that are not as in the mock.
    odd_statuses: those that have been reported.
    held, values: of each filter, the value that each record has, and those that are sent.
    """

    server: Server
    model: Model
    report: Report
    privacy: Privacy
    sample: int
    key_in_query: bool
    failed: set[str] = field(default_factory=set)
    no_match: set[int] = field(default_factory=set)
    rules: dict[str, Rule] = field(default_factory=dict)
    odd_statuses: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.noun, self.nouns = self.model.kind.noun, self.model.kind.name
        self.array = f"the array of {self.nouns}"
        self.is_whole = self.nouns == "releases"  # how a request is read is the same elsewhere
        filters = self.model.filters if self.is_whole or self.model.found else {}
        self.held = {name: self.model.values(property_) for name, property_ in filters.items()}
        self.values = {name: self.choose(name) for name in filters}

    def run(self, tell: Callable[[str, int], object]) -> None:
        plans = {name: self.plan(name) for name in self.held}
        tried = sum(map(len, [*plans.values(), *self.probes().values()]))
        tell(self.nouns, tried + (2 * MAX_PAIRS if plans else 0) + 2)
        self.compare("no filter", self.model.plain, self.model.first)
        for what in self.unseen():
            self.report.skip(what)
        self.compare_order()
        self.compare_filters(plans)
        if plans:
            self.compare_pairs()
        if self.is_whole and not self.key_in_query:
            self.report.skip("the key in the query: URLs are written into logs on their way")
        self.compare_probes()

    def probes(self) -> dict[str, list[Request]]:
        """What is tried besides filters, and by which requests."""
        statuses = self.model.statuses or ("",)
        found = probes.probes(self.model.plain, statuses, self.values, self.carrier())
        if not self.is_whole:
            only = probes.OF_SIBLINGS if self.held else probes.OF_ANY
            return {topic: found[topic] for topic in found if topic in only}
        has_two = self.values["status"] and any(map(self.values.get, self.model.id_filters))
        unused = [] if self.key_in_query else ["the key in the query"]
        unused += [] if has_two else [probes.IN_TWO_PLACES]
        return {topic: found[topic] for topic in found if not topic.startswith((*unused,))}

    def compare_probes(self) -> None:
        """Compare what else is tried, but for what could only show a difference that is known."""
        limit = max((rule.limit for rule in self.rules.values()), default=0)
        left_out: dict[str, dict[str, None]] = {}
        for topic, requests in self.probes().items():
            for request in requests:
                mocked, filters = self.mocked(request), request.filters(self.held)
                need = self.lacking(probes.needs_of(topic, request), filters, mocked is None)
                if need:
                    self.failed.add(topic)
                    left_out.setdefault(need, {})[topic] = None
                    continue
                real = self.compare(topic, request)
                one, other = self.sure(real or (), filters), self.sure(mocked or (), filters)
                if real is None or one == other or (limit and probes.is_cut(one, other, limit)):
                    continue
                self.failed.add(topic)
                both = self.describe(real), self.describe(mocked or ())
                self.report.add("selection", topic, *both, request, topic)
        self.report.left_out = sum(map(len, left_out.values()))
        for need, topics in left_out.items():
            self.report.skip(f"what builds on {need}, where the two differ: {', '.join(topics)}")

    def lacking(self, needs: list[str], filters: list[str], is_refused: bool) -> str:
        """What a request builds on and is not as in the mock, so that it could only show that."""
        if len(filters) > 1 and not is_refused:
            needs = [*needs, TOGETHER]
        lacks = [need for need in needs if need in self.failed]
        rules = [(name, self.rules[name]) for name in filters if name in self.rules]
        lacks += [f"filter {name}" for name, rule in rules if rule.is_dead or not is_refused]
        return next(iter(lacks), "")

    def mocked(self, request: Request) -> list[int] | None:
        """The ids that the mock answers, or would to GET; None where it refuses the request."""
        method = "GET" if request.method == "HEAD" else request.method
        answer = self.model.ask(replace(request, method=method))
        return self.model.ids(answer.records or ()) if answer.status == 200 else None

    def describe(self, ids: Collection[int]) -> str:
        some = f"{len(ids)} of the {self.nouns}" if ids else "[]"
        return f"200 with {f'all {self.nouns}' if len(ids) == len(self.model.found) > 0 else some}"

    def compare(self, topic: str, request: Request, real: Answer | None = None) -> list[int] | None:
        """Compare the answers to a request, except for which records come.

        real: the server's, where it was asked before.
        Returns: the ids of the server's records that are known; None where there are none.
        """
        real, mocked = real or self.server.ask(request), self.model.ask(request)
        if real.status != mocked.status:
            return self.compare_status(topic, request, real, mocked.status)
        add, status = self.report.add, str(real.status)
        has_type = request.method == "HEAD" or (real.body and mocked.body)
        if has_type and real.content_type != mocked.content_type:
            both = self.privacy(real.content_type[:80]) or "none", mocked.content_type
            add("content-type", f"Content-Type of a {status}", *both, request, status)
        if mocked.status != 200 and bool(real.body) != bool(mocked.body):
            both = ("some text", "nothing") if real.body else ("nothing", "some text")
            add("error-body", f"the body of a {status}", *both, request, status)
        if mocked.status != 200 or request.method == "HEAD":
            return None
        if real.records is None:
            self.failed.add(topic)
            array = f"an array of {self.nouns}"
            add("body", topic, f"not {array}", array, request)
            return None
        for oddity in real.oddities:
            add("body", self.array, oddity, "standard JSON in UTF-8", request, oddity)
        return self.compare_array(real.records, request)

    def compare_status(
        self, topic: str, request: Request, real: Answer, mocked: int
    ) -> list[int] | None:
        one, other = str(real.status), str(mocked)
        if mocked == 200 and self.mocked(request) == []:
            # Where other values of a filter are answered, an error says that nothing has this one.
            values = self.values.get(topic.removeprefix("filter "))
            some = (204, *range(400, 500)) if values else (204, 404) if values is not None else ()
            self.no_match |= {real.status}.intersection(some)
            if real.status in self.no_match:
                about = "filters that nothing matches"
                self.report.add("no-match", about, one, "200 with []", request, one)
                return []
        self.failed.add(topic)
        if mocked == 200:
            self.report.add("refused", topic, one, other, request, topic)
        elif real.status // 100 == 2:
            known = None if real.records is None else self.model.ids(real.records)
            one = one if known is None else self.describe(known)
            self.report.add("accepted", topic, one, other, request, topic)
        else:
            self.report.add("error-status", topic, one, other, request, f"{one} for {other}")
        return None

    def compare_array(self, records: list[dict[str, Any]], request: Request) -> list[int]:
        model, add, array = self.model, self.report.add, self.array
        where = "" if request == model.plain else f" in {request}"
        every = [model.identify(record) for record in records]
        for id_, record in zip(every, records, strict=True):
            found = model.differences(id_, record, is_filtered=bool(where))
            for kind, cause, name, server, mock in found:
                seen = f"{self.noun} {id_}{where}"
                if kind == "status-value":
                    if record[name] in self.odd_statuses:
                        continue
                    self.odd_statuses.add(record[name])
                    seen = f"{self.privacy(record[name])[:40]!r}, as of {seen}"
                add(kind, self.privacy(name), server, mock, seen, cause)
        known = [id_ for id_ in every if id_ in model.found]
        ids = list(dict.fromkeys(known))
        among = set(ids)
        if len(known) < len(every):
            what = f"leaves out {self.nouns} that it has with a filter"
            add("release-hidden", array, what, "has all without a filter", request)
        if len(ids) < len(known):
            both = f"has a {self.noun} twice", "has it once"
            if not model.shared.isdisjoint(known):
                both = f"several {self.nouns} share an id", "each has its own"
            add("release-twice", array, *both, request)
        if ids != [id_ for id_ in model.found if id_ in among]:
            both = "another order than without filters", "the same order as without filters"
            add("order-filtered", array, *both, request)
        return ids

    def compare_order(self) -> None:
        """Compare the order of all records, where they have a date."""
        ids = list(self.model.found)
        if not self.model.kind.dates or not (ids or self.is_whole):
            return
        order = sorted(ids, key=lambda id_: (self.model.held[id_].get("createdOn"), id_))
        if len(ids) < 2:
            self.report.skip(f"the order of {self.nouns}: there are fewer than two")
        elif self.model.unsure["createdOn"]:
            why = "not every one has a createdOn that can be read"
            self.report.skip(f"the order of {self.nouns}: {why}")
        elif ids != order[::-1]:
            server = "oldest first" if ids == order else "another order"
            mock = "newest first, by createdOn and then by id"
            self.report.add("order", self.array, server, mock, self.model.plain)
        elif ids == sorted(ids, reverse=True) and self.is_whole:
            what = "whether newest first is by createdOn or by id: here it is the same"
            self.report.skip(what)

    def choose(self, name: str) -> list[Any]:
        """Values of records to send for a filter, the one that shows most first."""
        found = {value for value in self.held[name].values() if value is not None}
        if name == "status":
            return [status for status in self.model.statuses if status in found]
        is_text = name in self.model.texts
        if is_text:
            found = {text for text in found if 0 < len(text) <= MAX_TEXT}
            found = {text for text in found if self.privacy.without_key(text) == text}
        fit = sorted(found, key=lambda value: (not _shows_much(value), value))
        sample = self.sample if self.is_whole else min(self.sample, OTHER_SAMPLE)
        count = len(fit)
        taken = fit if count <= sample else [fit[i * count // sample] for i in range(sample)]
        if is_text and self.is_whole:
            for shows in (lambda text: not text.isascii(), NUMBER.fullmatch):
                if not any(map(shows, taken)):
                    taken += [*filter(shows, fit)][:1]
        return [Masked(text, self.privacy(text)) for text in taken] if is_text else taken

    def missing(self, name: str) -> Sequence[Any]:
        """Values to send for a filter that no record need have."""
        if name == "status":
            return self.model.statuses
        return (NO_ID, -1) if name in self.model.id_filters else (NO_TEXT,)

    def plan(self, name: str) -> dict[Any, str]:
        """The values that are sent for a filter, and their kinds; first those of records."""
        values = self.values[name]
        plan: dict[Any, str] = dict.fromkeys([*values, *self.missing(name)], probes.VALUE)
        for kind, value in probes.variants(values) if name in self.model.texts else ():
            if self.is_whole or kind in OTHER_VARIANTS:
                plan.setdefault(value, kind)
        twins = self.values.get(TWINS.get(name, ""), [])
        for value in [value for value in twins if not selected(value, self.held[name])][:1]:
            plan.setdefault(value, probes.TWIN)
        return plan

    def filtered(self, *pairs: tuple[str, Any]) -> Request:
        return replace(self.model.plain, query=pairs)

    def compare_filters(self, plans: dict[str, dict[Any, str]]) -> None:
        sent: dict[str, list[Sent]] = {}
        for name, plan in plans.items():
            held = self.held[name]
            if self.model.found and not held:
                self.rules[name] = probes.OTHERWISE._replace(is_dead=False)
                continue
            for value, kind in plan.items():
                ids = self.compare(f"filter {name}", self.filtered((name, value)))
                if ids is None:
                    self.rules[name] = probes.OTHERWISE
                    sent.pop(name, None)
                    break
                seen = Sent(kind, value, self.sure(ids, [name]), selected(value, held))
                sent.setdefault(name, []).append(seen)
        rules = probes.explain(sent, self.held)
        self.rules |= rules
        for name, rule in rules.items():
            cause = name if rule == probes.OTHERWISE else rule.server
            both = rule.server, rule.mock
            for each in sent[name]:
                if each.real != each.mocked:
                    request = self.filtered((name, each.value))
                    self.report.add(rule.kind, f"filter {name}", *both, request, cause)

    def compare_pairs(self) -> None:
        working = {name for name, values in self.values.items() if values} - self.rules.keys()
        pairs = [names for pair in PAIRS if working.issuperset(names := pair.split())]
        if not pairs:
            self.report.skip(f"{TOGETHER}: there are no two that select what they should")
            self.failed.add(TOGETHER)
        for one, other in pairs[:MAX_PAIRS]:
            choices = product(self.values[one], self.values[other])
            named = [((one, a), (other, b)) for a, b in choices]
            best = max(named, key=lambda pair: len(set(self.combine(*pair).values())))
            for pair in (best, (best[0], (other, NO_TEXT))) if other != "status" else (best,):
                request, ways = self.filtered(*pair), self.combine(*pair)
                ids = self.compare(TOGETHER, request)
                found = self.sure(ids or (), (one, other))
                way = next((way for way, some in ways.items() if some == found), "otherwise")
                if ids is not None and way != BOTH:
                    self.failed.add(TOGETHER)
                    self.report.add("combining", TOGETHER, way, BOTH, request)

    def combine(self, *pair: tuple[str, Any]) -> dict[str, Ids]:
        """What two filters select, by how a server may combine them."""
        one, other = (selected(value, self.held[name]) for name, value in pair)
        ways = {BOTH: one & other, "one that matches is enough": one | other}
        return {**ways, "only the first counts": one, "only the second counts": other}

    def sure(self, ids: Iterable[int], names: Iterable[str]) -> Ids:
        """The records among these about which the values of these filters are known."""
        return frozenset(ids).intersection(*(self.held[name] for name in names))

    def carrier(self) -> tuple[str, Any]:
        """A filter and a value that show whether a parameter had an effect."""
        names = [*self.model.id_filters[::-1], "status", *self.model.texts]
        names = [name for name in names if name in self.values and name not in self.rules]
        for name in names:
            for value in self.values[name]:
                if 0 < len(selected(value, self.held[name])) < len(self.model.found):
                    return name, value
        name = next(iter(names), "releaseId")
        return name, self.missing(name)[0]

    def unseen(self) -> Iterator[str]:
        """What these records cannot show."""
        found, shared = self.model.found, ", ".join(map(str, sorted(self.model.shared)))
        unsent = [name for name, values in self.values.items() if not values]
        if not found:
            yield f"there are no {self.nouns}"
        elif unsent:
            yield f"no {self.noun} has a value for {', '.join(unsent)}"
        if shared:
            yield f"the properties of {self.nouns} that share their id: {shared}"
        if not self.is_whole:
            return
        seen = {name for finding in self.report.findings.values() for name in finding.about}
        seen.update(["pipelineId"], *found.values())
        unseen = [name for name in self.model.unsure if name not in seen]
        if unseen and found:
            yield f"properties that no release has: {', '.join(unseen)}"
        missing = [status for status in self.model.statuses if status not in self.values["status"]]
        if missing:
            yield f"filter status: no release is {' or '.join(missing)}"
        yield from self.unseen_of_texts()

    def unseen_of_texts(self) -> Iterator[str]:
        held, values, texts = self.held, self.values, self.model.texts
        for name in texts:
            if values[name] and not any(map(_shows_much, values[name])):
                yield f"filter {name}: no value has letters to show what case does"
        for one, other in (self.model.id_filters, *combinations(texts, 2)):
            if any(held[one].values()) and held[one] == held[other]:
                same = " and ".join(self.model.filters[name] for name in (one, other))
                what = f"{same} of each release are the same"
                yield f"whether filters {one} and {other} are swapped: {what}"
        found = [text for name in texts for text in values[name]]
        if found and all(map(str.isascii, found)):
            yield "case and accents of letters beyond ASCII: no value has such a letter"
        if found and not any(NUMBER.fullmatch(text) for name in TWINS for text in values[name]):
            what = "no releaseNumber or releaseName could be one"
            yield f"whether a number in JSON selects as its text does: {what}"


def _shows_much(value: Any) -> bool:
    """Whether variants of a text tell ways of comparing apart."""
    is_text = isinstance(value, str) and len(value) > 3 and value.strip() == value
    return is_text and probes.other_case(value) != value
