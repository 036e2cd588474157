"""What Schemathesis cannot know: which refusals of data that fits the document are meant.

All checks are on. A failure is passed over only where the answer itself says one of these reasons,
which no schema can see, for every problem that it has.
"""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import (
    EnsureResourceAvailability,
    RejectedPositiveData,
    UseAfterFree,
)

REASONS = re.compile(
    # Of what a call names: it does not exist, or cannot be changed like that.
    r"no (application|release|build) has|is there already|has a release .* already"
    r"|the build is|release .* is (active|canceled|deployed)|has no stage|no scenario is called"
    # Of a whole scenario: one place of it does not fit another.
    "|an id occurs once|has no release with the id|contradicts|min is more than max"
    "|comes before the change above it|only a release with status: canceled has this"
    # Of what has to be computed: the length of a duration, the value of digits in quotes.
    r"|a clock can show at most|a hundred years at most|is over an hour|is below [01]"
    r"|allowed is \d+ to \d+$"
)
ALWAYS_THERE = ("/requests", "/clock")
"""What a DELETE empties or releases, and does not remove."""


@schemathesis.hook
def filter_failure(_context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Whether a failure counts."""
    if isinstance(failure, UseAfterFree):
        return not case.path.endswith(ALWAYS_THERE)
    if isinstance(failure, EnsureResourceAvailability):
        # The session is there; it is the scenario, of which the body gives the name, that is not.
        return bool(response.json()["title"] != "Unknown scenario")
    if isinstance(failure, RejectedPositiveData) and response.status_code == 400:
        is_json = "json" in response.headers["content-type"][0]
        problems = response.json()["problems"] if is_json else response.text.splitlines()
        return not problems or not all(REASONS.search(problem) for problem in problems)
    return True


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Ask for a thousand releases where up to a million are generated, which takes seconds."""
    size = case.body.get("generate") if isinstance(case.body, dict) else None
    releases = size.get("releases") if isinstance(size, dict) else None
    if re.fullmatch(r"0*[1-9][0-9]{3,6}", str(releases)) and int(releases) <= 1_000_000:
        case.body = {**case.body, "generate": {**size, "releases": 1_000}}
