"""All calls that change something, in any order, against a model that is lists of dicts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from api_table import SHOP
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mockbm import create_app
from mockbm.core.answer import answer
from mockbm.core.mock import Mock
from mockbm.core.request import Request

Row = dict[str, Any]

STAGES = ["Build", "Integration", "Testing", "Production"]
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

APPEARS = {
    "id": 30,
    "number": "9.9",
    "applicationId": 2,
    "applicationName": "ProfitCalculator",
    "pipelineName": "Release",
    "createdOn": "2024-03-09",
    "absent": True,
    "changes": [
        {"after": "3 calls", "absent": False},
        {"after": "6 calls", "status": "deployed"},
    ],
}
"""A release that is there only after some calls, and is then deployed, whatever clients do."""

WORLD = {**SHOP, "releases": [*SHOP["releases"], APPEARS]}

WAITS = st.sampled_from(["1 call", "2 calls", "5s", "never"])
RESULTS = st.sampled_from(["succeeded", "warned", "failed", {"Testing": "failed"}])
RELEASE_NUMBERS = st.sampled_from(["1", "2", "1.0.1", "9"])
NUMBERS = st.sampled_from([None, None, None, "2", "6", "x", "9.1", "0017"])

PROPERTIES = {
    "releases": (
        *("id", "number", "name", "sequence", "status", "createdBy", "createdOn"),
        *("applicationId", "pipelineName", "furthestBuildId", "latestBuildId", "canceledOn"),
        *("furthestPackageId", "latestPackageId"),
    ),
    "builds": (
        *("id", "number", "status", "createdBy", "createdOn", "rejectedBy", "rejectedOn"),
        *("applicationId", "releaseId", "pipelineName", "furthestStage"),
    ),
    "deployments": (
        *("id", "status", "started", "ended", "createdBy", "pipelineStageName"),
        *("buildId", "releaseId", "applicationId"),
    ),
}
"""What the model knows of each record."""

FILTERS = {
    "releases": {
        "releaseId": "id",
        "releaseNumber": "number",
        "releaseName": "name",
        "applicationId": "applicationId",
        "pipelineName": "pipelineName",
        "status": "status",
    },
    "builds": {
        "buildId": "id",
        "buildNumber": "number",
        "releaseId": "releaseId",
        "applicationId": "applicationId",
        "furthestStage": "furthestStage",
        "status": "status",
    },
    "deployments": {
        "deploymentId": "id",
        "buildId": "buildId",
        "releaseId": "releaseId",
        "pipelineStageName": "pipelineStageName",
        "status": "status",
    },
}
GROUPS = {"releaseNumber": "releaseId", "releaseName": "releaseId", "buildNumber": "buildId"}
"""Filters that exclude another one."""

PATHS = {"releases": "", "builds": "/builds", "deployments": "/builds/deployments"}


def text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.0000000Z"


class Model:
    """What an instance holds, and what calls do to it, in the plainest way."""

    def __init__(
        self,
        state: dict[str, list[Row]],
        pending: str = "1 call",
        executing: str = "1 call",
        result: Any = "succeeded",
        now: datetime = BEGIN,
    ) -> None:
        self.records = {
            kind: [{name: row[name] for name in names if name in row} for row in state[kind]]
            for kind, names in PROPERTIES.items()
        }
        works = [(row["buildId"], row["pipelineStageName"]) for row in state["deployments"]]
        for row, full, work in zip(
            self.records["deployments"], state["deployments"], works, strict=True
        ):
            row["isChild"] = full["plan"] is not None or works.count(work) == 1
        self.patience = {"pending": pending, "executing": executing}
        self.result = result if isinstance(result, dict) else dict.fromkeys(STAGES, result)
        self.now = now
        self.calls = 0

    def find(self, kind: str, id_: int) -> Row | None:
        return next((row for row in self.records[kind] if row["id"] == id_), None)

    def next_id(self, kind: str) -> int:
        reserved = APPEARS["id"] if kind == "releases" else 0
        return max([reserved, *(row["id"] for row in self.records[kind])]) + 1

    def scan(self, kind: str, filters: dict[str, Any]) -> list[int]:
        """The ids that match, newest first."""
        by = FILTERS[kind]
        found = [
            row
            for row in self.records[kind]
            if all(
                by[name] in row and str(row[by[name]]).lower() == str(value).lower()
                for name, value in filters.items()
            )
        ]
        if kind == "deployments" and "deploymentId" not in filters:
            found = [row for row in found if row["isChild"]]
        found.sort(key=lambda row: (row.get("createdOn", row.get("started")), row["id"]))
        return [row["id"] for row in reversed(found)]

    # What calls do. Each returns whether the call is accepted.

    def create_release(self, application: int, number: str) -> bool:
        siblings = [r for r in self.records["releases"] if r["applicationId"] == application]
        if application not in (1, 2, 5) or any(r["number"] == number for r in siblings):
            return False
        sequences = [row["sequence"] for row in siblings] + ([4] if application == 2 else [])
        self.records["releases"].append(
            {
                "id": self.next_id("releases"),
                "number": number,
                "name": number,
                "sequence": max(sequences, default=0) + 1,
                "status": "active",
                "createdBy": "API",
                "createdOn": text(self.now),
                "applicationId": application,
                "pipelineName": "Release",
            }
        )
        return True

    def cancel(self, id_: int) -> bool:
        release = self.find("releases", id_)
        if release is None:
            return False
        if release["status"] != "canceled":
            release |= {"status": "canceled", "canceledOn": text(self.now)}
            for build in self.records["builds"]:
                if build.get("releaseId") == id_ and build["status"] == "active":
                    self.reject_row(build, "API")
        return True

    def restore(self, id_: int) -> bool:
        release = self.find("releases", id_)
        if release is not None:
            release["status"] = "active"
            release.pop("canceledOn", None)
        return release is not None

    def create_build(self, owner: Row, number: str | None) -> bool:
        ((name, id_),) = owner.items()
        release = self.find("releases", id_) if name == "releaseId" else None
        if name == "applicationId" and id_ not in (1, 2, 5):
            return False
        if name == "releaseId" and (release is None or release["status"] != "active"):
            return False
        siblings = [row["number"] for row in self.records["builds"] if row.get(name) == id_]
        whole = [int(each) for each in siblings if each.isdecimal()]
        number = number or str(max(whole, default=0) + 1)
        if number in siblings:
            return False
        build = {
            "id": self.next_id("builds"),
            "number": number,
            "status": "active",
            "createdBy": "API",
            "createdOn": text(self.now),
            "applicationId": release["applicationId"] if release else id_,
            "pipelineName": release["pipelineName"] if release else "Tools",
            **({"releaseId": id_} if release else {}),
        }
        self.records["builds"].append(build)
        self.follow(build)
        return True

    def reject(self, id_: int) -> bool:
        build = self.find("builds", id_)
        if build is not None and build["status"] != "rejected":
            self.reject_row(build, "API")
        return build is not None

    def reject_row(self, build: Row, by: str) -> None:
        build |= {"status": "rejected", "rejectedBy": by, "rejectedOn": text(self.now)}

    def deploy(self, id_: int, stage: str | None, force: bool) -> bool:
        build = self.find("builds", id_)
        if build is None or (build["status"] == "rejected" and not force):
            return False
        release = self.find("releases", build.get("releaseId", 0))
        if release is not None and release["status"] == "canceled":
            return False
        if stage is None:
            following = self.rank(build) + 1
            if following == len(STAGES):
                return False
            stage = STAGES[following]
        if stage not in STAGES:
            return False
        first = self.next_id("deployments")
        for number in (first, first + 1):
            self.records["deployments"].append(
                {
                    "id": number,
                    "status": "pending",
                    "started": text(self.now),
                    "ended": None,
                    "createdBy": "SYSTEM" if number > first else "API",
                    "pipelineStageName": stage,
                    "buildId": id_,
                    "applicationId": build["applicationId"],
                    **({"releaseId": build["releaseId"]} if "releaseId" in build else {}),
                    "isChild": number > first,
                    "pair": (first, first + 1),
                    "looks": 0,
                    "since": self.now,
                }
            )
        return True

    # What goes on by itself.

    def look(self, shown: list[int]) -> None:
        """Deployments were shown, each of which may go on."""
        for id_ in sorted(shown):
            row = self.find("deployments", id_)
            assert row is not None
            patience = self.patience.get(row["status"], "")
            if patience.endswith(("call", "calls")):
                for each in self.pair(row):
                    each["looks"] += 1
                if row["looks"] >= int(patience.split()[0]):
                    self.step(row, self.now)

    def tick(self) -> None:
        """The clock has moved."""
        for status in ("pending", "executing"):
            if self.patience[status] != "5s":
                continue
            waiting = [r for r in self.records["deployments"] if r["status"] == status]
            waiting = [r for r in waiting if r["isChild"]]
            for row in sorted(waiting, key=lambda row: (row["since"], row["id"])):
                due = row["since"] + timedelta(seconds=5)
                if due <= self.now:
                    self.step(row, due)

    def appear(self) -> None:
        """Releases were shown, by which the one appears that changes."""
        self.calls += 1
        if self.calls == 3:
            names = ("id", "number", "applicationId", "pipelineName")
            defaults = {"name": "9.9", "sequence": 4, "status": "active", "createdBy": "SYSTEM"}
            created = {"createdOn": "2024-03-09T00:00:00.0000000Z"}
            appeared = {name: APPEARS[name] for name in names}
            self.records["releases"].append(appeared | defaults | created)
        elif self.calls == 6:
            release = self.find("releases", APPEARS["id"])
            assert release is not None
            release["status"] = "deployed"
            release.pop("canceledOn", None)

    def pair(self, row: Row) -> list[Row]:
        return [each for each in self.records["deployments"] if each["id"] in row["pair"]]

    def step(self, row: Row, when: datetime) -> None:
        status = "executing"
        if row["status"] == "executing":
            status = self.result.get(row["pipelineStageName"], "succeeded")
        for each in self.pair(row):
            each |= {"status": status, "looks": 0, "since": when}
            if status != "executing":
                each["ended"] = text(when)
        if status not in ("succeeded", "warned"):
            return
        build, stage = self.find("builds", row["buildId"]), row["pipelineStageName"]
        assert build is not None
        if STAGES.index(stage) >= self.rank(build):
            build["furthestStage"] = stage
        release = self.find("releases", build.get("releaseId", 0))
        if stage == STAGES[-1]:
            build["status"] = "deployed"
            build.pop("rejectedBy", None)
            build.pop("rejectedOn", None)
            if release is not None and release["status"] == "active":
                release["status"] = "deployed"
        for other in self.records["builds"]:
            is_older = release is not None and other["id"] < build["id"]
            is_of_it = is_older and other.get("releaseId") == build["releaseId"]
            if is_of_it and other["status"] == "active" and other.get("furthestStage") == stage:
                self.reject_row(other, "SYSTEM")
        self.follow(build)

    def rank(self, build: Row) -> int:
        stage = build.get("furthestStage")
        return STAGES.index(stage) if stage else -1

    def follow(self, build: Row) -> None:
        """The release of a build has the furthest and the latest of its builds."""
        release = self.find("releases", build.get("releaseId", 0))
        if release is None:
            return
        builds = [b for b in self.records["builds"] if b.get("releaseId") == release["id"]]
        furthest = max(builds, key=lambda each: (self.rank(each), each["id"]))
        latest = max(each["id"] for each in builds)
        release |= {"furthestBuildId": furthest["id"], "furthestPackageId": furthest["id"]}
        release |= {"latestBuildId": latest, "latestPackageId": latest}


@cache
def world() -> Mock:
    """A mock with one scenario, whose clock stands still."""
    with TemporaryDirectory() as directory:
        (Path(directory) / "shop.yaml").write_text(json.dumps(WORLD), encoding="utf-8")
        mock: Mock = create_app(directory, clock=text(BEGIN)).extensions["mockbm"]
    return mock


class Instance(RuleBasedStateMachine):
    """A session of a mock, and the model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.mock = world()
        self.session = self.mock.open_session("shop")
        self.file = self.session.state()
        self.begin(Model(self.file))

    def begin(self, model: Model) -> None:
        """Nothing was changed yet."""
        assert self.session.state() == self.file
        self.model = model
        self.issued: dict[str, set[int]] = {kind: set() for kind in PROPERTIES}

    def teardown(self) -> None:
        self.session.end()

    def call(self, method: str, path: str, **values: Any) -> tuple[int, Any]:
        query = urlencode({name: value for name, value in values.items() if value is not None})
        headers = {"x-apikey": self.session.api_key}
        found = answer(self.mock, Request(method, f"/api/releases{path}", query, headers))
        return found.status, json.loads(found.body) if found.body[:1] in (b"[", b"{") else None

    def change(self, accepted: bool, path: str, **values: Any) -> Any:
        """A call that changes something, or is refused."""
        status, found = self.call("POST", path, **values)
        assert status == (200 if accepted else 400)
        return found

    def issue(self, kind: str, *ids: int) -> None:
        """These ids are new: no record has, or had, one of them."""
        taken = {row["id"] for row in self.file.get(kind, ())} | self.issued[kind]
        assert taken.isdisjoint(ids)
        self.issued[kind].update(ids)

    @rule(
        application=st.sampled_from([1, 2, 2, 5, 9]),
        number=st.sampled_from(["1", "2", "1.0.1", "9"]),
    )
    def create_release(self, application: int, number: str) -> None:
        accepted = self.model.create_release(application, number)
        values = {"applicationId": application, "releaseNumber": number, "pipelineName": "Release"}
        found = self.change(accepted, "/create", **values)
        if accepted:
            self.issue("releases", found["id"])

    @rule(
        id_=st.sampled_from([1, 2, 3, 4, 4, 30, 31, 32]),
        call=st.sampled_from(["cancel", "restore"]),
    )
    def cancel_or_restore(self, id_: int, call: str) -> None:
        self.change(getattr(self.model, call)(id_), f"/{call}", releaseId=id_)

    @rule(id_=st.sampled_from([1, 2, 3, 4, 4, 4, 30, 31, 32]), number=NUMBERS)
    def create_build(self, id_: int, number: str | None) -> None:
        accepted = self.model.create_build({"releaseId": id_}, number)
        found = self.change(accepted, "/builds/create", releaseId=id_, buildNumber=number)
        if accepted:
            self.issue("builds", found["id"])

    @rule(application=st.sampled_from([1, 2, 2, 2, 9]), number=NUMBERS)
    def create_build_without_release(self, application: int, number: str | None) -> None:
        accepted = self.model.create_build({"applicationId": application}, number)
        values = {"applicationId": application, "pipelineName": "Tools", "buildNumber": number}
        found = self.change(accepted, "/builds/create", **values)
        if accepted:
            self.issue("builds", found["id"])

    def build(self, data: st.DataObject) -> int:
        """The id of a build, or of none; those of newer ones come more often."""
        known = [row["id"] for row in self.model.records["builds"]]
        return int(data.draw(st.sampled_from([*known, *known[-4:], *known[-4:], 99])))

    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        id_ = self.build(data)
        self.change(self.model.reject(id_), "/builds/reject", buildId=id_)

    @rule(
        data=st.data(),
        stage=st.sampled_from([None, None, *STAGES, "Production", "Moon"]),
        force=st.booleans(),
    )
    def deploy(self, data: st.DataObject, stage: str | None, force: bool) -> None:
        id_ = self.build(data)
        accepted = self.model.deploy(id_, stage, force)
        values = {"buildId": id_, "toStage": stage, "force": str(force).lower()}
        found = self.change(accepted, "/builds/deploy", **values)
        if accepted:
            self.issue("deployments", found["id"], found["id"] + 1)

    @rule(kind=st.sampled_from([*PATHS]), data=st.data())
    def filter(self, kind: str, data: st.DataObject) -> None:
        """A list is what a scan finds."""
        names = st.lists(
            st.sampled_from([*FILTERS[kind]]),
            max_size=3,
            unique_by=lambda name: GROUPS.get(name, name),
        )
        filters = {name: self.value(kind, FILTERS[kind][name], data) for name in data.draw(names)}
        status, found = self.call("GET", PATHS[kind], **filters)
        ids = self.model.scan(kind, filters)
        assert (status, [row["id"] for row in found]) == (200, ids)
        if kind == "deployments":
            self.model.look(ids)
        elif kind == "releases":
            self.model.appear()

    def value(self, kind: str, name: str, data: st.DataObject) -> Any:
        """A value that a record has, or that none has."""
        known = sorted({row[name] for row in self.model.records[kind] if name in row}, key=str)
        odd = {"status": "active" if kind != "deployments" else "failed"}.get(name, 99)
        return data.draw(st.sampled_from([*known, odd]))

    @rule(times=st.integers(1, 3))
    def poll(self, times: int) -> None:
        """Some looks at all that is deployed."""
        for _ in range(times):
            status, found = self.call("POST", PATHS["deployments"])
            ids = self.model.scan("deployments", {})
            assert (status, [row["id"] for row in found]) == (200, ids)
            self.model.look(ids)

    @rule(seconds=st.sampled_from([1, 4, 5, 11]))
    def wait(self, seconds: int) -> None:
        self.session.advance_clock(f"{seconds}s")
        self.model.now += timedelta(seconds=seconds)
        self.model.tick()

    @rule(pending=WAITS, executing=WAITS, result=RESULTS)
    def switch(self, pending: str, executing: str, result: Any) -> None:
        """Another scenario, with the same records, has nothing of what was changed."""
        going_on = {"pending": pending, "executing": executing, "result": result}
        self.session.use_values({"extends": "shop", "deployments": going_on})
        self.begin(Model(self.file, pending, executing, result, now=self.model.now))

    @rule()
    def reset(self) -> None:
        """A reset brings back what the file has, and the clock."""
        self.session.reset()
        self.begin(Model(self.file))

    @invariant()
    def agrees(self) -> None:
        """Nothing is lost, and nothing else is there."""
        state = self.session.state()
        for kind, names in PROPERTIES.items():
            mine = {row["id"]: row for row in self.model.records[kind]}
            theirs = {row["id"]: row for row in state[kind]}
            assert len(theirs) == len(state[kind]), "an id occurs twice"
            for row in state[kind]:
                expected = {n: mine[row["id"]][n] for n in names if n in mine[row["id"]]}
                assert {n: row[n] for n in names if n in row} == expected
            assert theirs.keys() == mine.keys()
        pairs = [(row["applicationId"], row["sequence"]) for row in state["releases"]]
        assert len({*pairs}) == len(pairs), "a sequence occurs twice in an application"


TestInstance = Instance.TestCase
TestInstance.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
