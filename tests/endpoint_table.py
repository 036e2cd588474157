"""The table of requests to `/api/releases`, as they go over the wire, and the answers expected."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

KEY = {"X-ApiKey": "abc12345"}


def typed(content_type: str) -> dict[str, str]:
    return {**KEY, "Content-Type": content_type}


def basic(user_and_password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(user_and_password.encode()).decode()}"}


def without_key(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "X-ApiKey"}


JSON = typed("application/json")
FORM = typed("application/x-www-form-urlencoded")
PARTS = typed("multipart/form-data; boundary=edge")
BARE_JSON, BARE_FORM, BARE_PARTS = without_key(JSON), without_key(FORM), without_key(PARTS)
WRONG = {"X-ApiKey": "wrong"}

ALL = [4, 3, 2, 1, 7, 6, 5]
ACTIVE = [4, 1, 7, 6]
ODD = "unicode-and-odd-values"
MAX = 2147483647

NOT_INTEGER = "is not an integer; write decimal digits only"
TOO_BIG = "does not fit in 32 bits; allowed is -2147483648 to 2147483647"
STATUSES = "is not one of active, canceled, deployed"
FILTERS = (
    "known are applicationId, applicationName, releaseId, releaseNumber, releaseName, "
    "pipelineName, status"
)
OBJECT = 'body: expected a JSON object, such as {"status": "active"}'
TWICE = "status: given twice, as 'active' in the {0} and as '{1}' in the {2}; give it once\n"
AT_MOST_ONE = "give at most one of applicationId, applicationName"
SET_TYPE = "set Content-Type: application/json"

Expected = list[int] | str | int
"""The ids of a 200 in their order; the text of a 400, whole if it has a line break at its end, or
else a part; or a status alone."""


class Row(NamedTuple):
    """One request, as it goes over the wire, and what is expected of the answer."""

    id: str
    expected: Expected
    query: str = ""
    body: bytes | None = None
    headers: Mapping[str, str] = KEY
    method: str = "GET"
    path: str = "/api/releases"
    scenario: str = "documented"

    @property
    def status(self) -> int:
        if isinstance(self.expected, int):
            return self.expected
        return 400 if isinstance(self.expected, str) else 200


def in_json(
    name: str, expected: Expected, body: str, headers: Mapping[str, str] = JSON, **more: Any
) -> Row:
    """A row with a JSON body."""
    more = {"method": "POST", **more}
    return Row(name, expected, body=body.encode(), headers=headers, **more)


def in_form(
    name: str, expected: Expected, body: str, headers: Mapping[str, str] = FORM, **more: Any
) -> Row:
    """A row with a form body."""
    return in_json(name, expected, body, headers, **more)


def in_parts(
    name: str, expected: Expected, *parts: str, headers: Mapping[str, str] = PARTS, **more: Any
) -> Row:
    """A row with a multipart body; a part is its name, what else its header has, and its value."""
    lines = [f'--edge\r\nContent-Disposition: form-data; name="{part}\r\n' for part in parts]
    return in_json(name, expected, "".join([*lines, "--edge--\r\n"]), headers, **more)


TABLE = [
    # Filters, each alone, and ANDed.
    Row("no filter", ALL),
    Row("applicationId", [4, 2], "applicationId=2"),
    Row("applicationName", [3, 7, 6, 5], "applicationName=PayrollService"),
    Row("releaseId", [7], "releaseId=7"),
    Row("releaseNumber", [2, 5], "releaseNumber=1.0.0"),
    Row("releaseName", [7], "releaseName=Spring"),
    Row("releaseName that repeats the number", [4], "releaseName=1.0.1"),
    Row("pipelineName", [4, 2, 6, 5], "pipelineName=Release"),
    Row("global pipeline", [3, 7], "pipelineName=global%3A%3AHotfix"),
    Row("pipeline without its global::", [], "pipelineName=Hotfix"),
    Row("status active", ACTIVE, "status=active"),
    Row("status canceled", [3], "status=canceled"),
    Row("status deployed", [2, 5], "status=deployed"),
    Row("two groups", [4, 6], "status=active&pipelineName=Release"),
    Row(
        "all groups",
        [2],
        "applicationId=2&releaseNumber=1.0.0&pipelineName=Release&status=deployed",
    ),
    Row("groups without a common release", [], "applicationId=1&status=deployed"),
    Row("a scenario without releases", [], scenario="empty"),
    Row("another scenario", [3], "status=active", scenario="every-status"),
    # Places.
    Row("POST with a query", ACTIVE, "status=active", method="POST"),
    in_json("JSON in a POST", ACTIVE, '{"status": "active"}'),
    in_json("JSON in a GET", ACTIVE, '{"status": "active"}', method="GET"),
    in_json("an empty JSON object", ALL, " {} "),
    in_json("an empty body that says it is JSON", ALL, ""),
    in_json(
        "query and JSON",
        [6],
        '{"pipelineName": "Release", "applicationId": 3}',
        query="status=active",
    ),
    in_json("JSON type in capitals", [3], '{"status": "canceled"}', typed("Application/JSON")),
    in_json(
        "JSON with a charset",
        [3],
        '{"status": "canceled"}',
        typed("application/json;charset=UTF-8"),
    ),
    in_json(
        "JSON with a quoted charset",
        [3],
        '{"status": "canceled"}',
        typed('application/json;charset="utf-8"'),
    ),
    in_json("JSON with a byte-order mark", [3], '\ufeff{"status": "canceled"}'),
    in_json(
        "JSON with a charset and a mark",
        [3],
        '\ufeff{"status": "canceled"}',
        typed("application/json; charset=utf-8"),
    ),
    Row(
        "JSON in Latin-1",
        [8],
        "",
        '{"applicationName": "Straße & Söhne"}'.encode("latin-1"),
        typed("application/json; charset=iso-8859-1"),
        scenario=ODD,
    ),
    in_json("JSON without a type", [3], '{"status": "canceled"}', headers=KEY),
    in_json(
        "JSON without a type, GET", [3], '\n {"status": "canceled"}', headers=KEY, method="GET"
    ),
    in_json("JSON without a type, with a mark", [3], '\ufeff{"status": "canceled"}', headers=KEY),
    in_form("a form in a POST", ACTIVE, "status=active"),
    in_form("a form in a GET", ACTIVE, "status=active", method="GET"),
    in_form(
        "a form with a charset",
        ACTIVE,
        "status=active",
        typed("application/x-www-form-urlencoded; charset=UTF-8"),
    ),
    in_form("query and form", [6], "pipelineName=release&applicationid=3", query="status=active"),
    in_form("an empty form", ALL, ""),
    in_parts("a multipart form", [6], 'status"\r\n\r\nactive', 'releaseName"\r\n\r\nwinter'),
    in_parts("a multipart form in a GET", ACTIVE, 'status"\r\n\r\nactive', method="GET"),
    in_parts("a multipart form without a field", ALL),
    in_parts(
        "nothing in the parts of another boundary",
        "boundary",
        headers=typed("multipart/form-data; boundary=other"),
    ),
    # Bodies that cannot be read.
    in_form(
        "curl -d with JSON",
        f"body: JSON that was sent as a form; {SET_TYPE}\n",
        '{"status": "active"}',
    ),
    in_form("a JSON array as a form", SET_TYPE, '[{"status": "active"}]'),
    in_json(
        "a text",
        f"body: cannot be read as 'text/plain'; {SET_TYPE}\n",
        "status=active",
        typed("text/plain"),
    ),
    in_json("JSON as a text", SET_TYPE, '{"status": "active"}', typed("text/plain")),
    in_json("a form without a type", SET_TYPE, "status=active", headers=KEY),
    in_json(
        "JSON cut short",
        "body: not valid JSON: Expecting ',' delimiter at line 1, column 20\n",
        '{"status": "active"',
    ),
    in_json("JSON in single quotes", "body: not valid JSON: ", "{'status': 'active'}"),
    in_json("JSON with a leading zero", "body: not valid JSON: ", '{"releaseId": 04}'),
    in_json("JSON with something after it", "body: not valid JSON: ", '{"status": "active"} {}'),
    in_json("NaN", "body: not valid JSON: NaN\n", '{"releaseNumber": NaN}'),
    in_json("infinity", "body: not valid JSON: -Infinity\n", '{"releaseNumber": -Infinity}'),
    in_json(
        "JSON nested deep",
        "body: not read: JSON nested more than 32 levels deep\n",
        '{"status":' * 100_000,
    ),
    in_json(
        "arrays nested deep",
        "body: not read: JSON nested more than 32 levels deep\n",
        "[" * 100_000,
    ),
    Row(
        "JSON that is not UTF-8",
        "body: not utf-8: byte 0xff; send UTF-8\n",
        "",
        b'{"status": "\xff"}',
        JSON,
        "POST",
    ),
    *(
        Row(
            f"compressed with gzip, {kind}",
            "body: compressed with gzip; Content-Encoding is not read, so send it as it is\n",
            "",
            gzip.compress(b'{"status": "active"}', mtime=0),
            {**headers, "Content-Encoding": "gzip"},
            "POST",
        )
        for kind, headers in {"JSON": JSON, "a form": FORM, "of no type": KEY}.items()
    ),
    in_json(
        "an unknown charset",
        "body: the charset 'klingon' is not known; send UTF-8\n",
        "{}",
        typed("application/json; charset=klingon"),
    ),
    in_json("an array at the top", f"{OBJECT}\n", '[{"status": "active"}]'),
    in_json("a text at the top", f"{OBJECT}\n", '"active"'),
    in_json("null at the top", f"{OBJECT}\n", "null"),
    Row("a form that is not UTF-8", 400, "", b"applicationName=\xff", FORM, "POST"),
    in_parts(
        "a file",
        "body: status was sent as a file; send it as a plain field\n",
        'status"; filename="a.txt"\r\n\r\nactive',
    ),
    in_form(
        "a part without a name",
        "body: a part of the multipart form has no name\n",
        "--edge\r\nContent-Disposition: form-data\r\n\r\nactive\r\n--edge--\r\n",
        headers=PARTS,
    ),
    in_form(
        "a file without a name",
        "body: a part of the multipart form has no name\n",
        '--edge\r\nContent-Disposition: form-data; filename="a"\r\n\r\nactive\r\n--edge--\r\n',
        headers=PARTS,
    ),
    in_form("a multipart form without its boundary", "boundary", "status=active", headers=PARTS),
    # Names.
    Row("names in other cases", [6], "STATUS=active&pipelinename=Release&applicationID=3"),
    in_json("names in other cases in JSON", [6], '{"Status": "active", "RELEASENAME": "Winter"}'),
    in_form("names in other cases in a form", [6], "Status=active&RELEASENAME=Winter"),
    Row("a near name", "statuss: unknown parameter; did you mean status?\n", "statuss=active"),
    Row(
        "a near name in capitals",
        "RELEASE_ID: unknown parameter; did you mean releaseId?\n",
        "RELEASE_ID=4",
    ),
    Row("an unknown name", f"colour: unknown parameter; {FILTERS}\n", "colour=red"),
    in_json(
        "an unknown name in JSON",
        "aplicationName: unknown parameter; did you mean applicationName?\n",
        '{"aplicationName": ["Tax"]}',
    ),
    in_form("an unknown name in a form", f"page: unknown parameter; {FILTERS}\n", "page=2"),
    Row("an unknown name without a value", ALL, "colour=&size"),
    Row("an unknown name of two lines", "unknown parameter", "first%0Asecond=1"),
    Row(
        "pipelineId",
        "pipelineId: was dropped in BuildMaster 6.2; filter by pipelineName\n",
        "pipelineId=3",
    ),
    in_json("pipelineId in JSON", "BuildMaster 6.2", '{"pipelineid": 3}', scenario="legacy-6.1"),
    # Duplicates and groups.
    Row(
        "twice in the query",
        TWICE.format("query", "active", "query"),
        "status=active&status=active",
    ),
    Row(
        "twice in other cases",
        TWICE.format("query", "deployed", "query"),
        "status=active&Status=deployed",
    ),
    in_form(
        "twice in a form", TWICE.format("form", "deployed", "form"), "status=active&status=deployed"
    ),
    in_parts(
        "twice in a multipart form",
        TWICE.format("form", "active", "form"),
        *['status"\r\n\r\nactive'] * 2,
    ),
    in_json(
        "twice in one JSON object",
        TWICE.format("JSON", "active", "JSON"),
        '{"status": "active", "status": "active"}',
    ),
    in_json(
        "twice in JSON in other cases",
        "releaseId: given twice, as '4' in the JSON and as '4' in the JSON; give it once\n",
        '{"releaseId": 4, "releaseid": 4}',
    ),
    in_json(
        "in the query and in JSON",
        TWICE.format("query", "active", "JSON"),
        '{"STATUS": "active"}',
        query="status=active",
    ),
    in_form(
        "in the query and in a form",
        TWICE.format("query", "active", "form"),
        "status=active",
        query="status=active",
    ),
    Row("twice, once empty", ACTIVE, "status=&status=active"),
    in_json("twice, once null", ACTIVE, '{"status": null}', query="status=active"),
    Row(
        "two of the application group",
        f"applicationName: given together with applicationId; {AT_MOST_ONE}\n",
        "applicationId=2&applicationName=ProfitCalculator",
    ),
    Row(
        "two of the release group",
        "releaseName: given together with releaseNumber; give at most one of",
        "releaseNumber=2.1&releaseName=Spring",
    ),
    in_json(
        "two of a group, two places",
        "releaseId: given together with releaseNumber; ",
        '{"releaseId": 4}',
        query="releaseNumber=1.0.1",
    ),
    Row(
        "three of a group",
        "releaseName: given together with releaseId; ",
        "releaseId=7&releaseNumber=2.1&releaseName=Spring",
    ),
    Row("two of a group, one empty", [7], "releaseId=&releaseName=Spring"),
    Row(
        "two problems, two lines",
        f"applicationId: 'x' {NOT_INTEGER}\nstatus: 'foo' {STATUSES}\n",
        "applicationId=x&status=foo",
    ),
    # Null and empty.
    Row("all empty", ALL, "applicationId=&releaseId=&releaseName=&pipelineName=&status"),
    in_form("empty in a form", ALL, "applicationName=&status="),
    in_json(
        "null and empty in JSON",
        ALL,
        '{"applicationId": null, "releaseId": "", "releaseName": null, "status": ""}',
    ),
    # Integers.
    in_json("an integer in JSON", [4], '{"releaseId": 4}'),
    in_json("an integer as text in JSON", [4], '{"releaseId": "4"}'),
    Row("an id of nothing", [], "applicationId=99"),
    Row("minus one", [], "releaseId=-1"),
    in_json("minus one in JSON", [], '{"applicationId": -1}'),
    Row("zero", [], "releaseId=0"),
    Row("leading zeros", [4], "releaseId=0000000000004"),
    Row("very many leading zeros", [4], f"releaseId={'0' * 5000}4"),
    Row("the greatest integer", [MAX], f"releaseId={MAX}", scenario=ODD),
    Row("the least integer", [], "releaseId=-2147483648"),
    Row("above 32 bits", f"releaseId: '2147483648' {TOO_BIG}\n", "releaseId=2147483648"),
    Row("below 32 bits", f"releaseId: '-2147483649' {TOO_BIG}\n", "releaseId=-2147483649"),
    in_json("far out of 32 bits", "releaseId: ", f'{{"releaseId": {"9" * 5000}}}'),
    in_json("true for an integer", NOT_INTEGER, '{"releaseId": true}'),
    in_json("2.0 for an integer", [2], '{"releaseId": 2.0}'),
    in_json("-0.0 for an integer", [], '{"releaseId": -0.0}'),
    in_json("2.5 for an integer", f"releaseId: '2.5' {NOT_INTEGER}\n", '{"releaseId": 2.5}'),
    in_json("2.0 in quotes", f"releaseId: '2.0' {NOT_INTEGER}\n", '{"releaseId": "2.0"}'),
    Row("2.0 in the query", f"releaseId: '2.0' {NOT_INTEGER}\n", "releaseId=2.0"),
    in_json("2147483648.0", f"releaseId: 2147483648 {TOO_BIG}\n", '{"releaseId": 2147483648.0}'),
    in_json("1e0 for an integer", NOT_INTEGER, '{"releaseId": 1e0}'),
    in_json("id with underscore", f"releaseId: '1_000' {NOT_INTEGER}\n", '{"releaseId": "1_000"}'),
    in_json("an Arabic digit", f"releaseId: '٣' {NOT_INTEGER}\n", '{"releaseId": "٣"}'),
    Row("an Arabic digit in the query", f"releaseId: '٣' {NOT_INTEGER}\n", "releaseId=%D9%A3"),
    in_json("id between spaces", f"releaseId: ' 2 ' {NOT_INTEGER}\n", '{"releaseId": " 2 "}'),
    Row("id between spaces, query", f"applicationId: ' 2 ' {NOT_INTEGER}\n", "applicationId=+2+"),
    Row("id and a line break", f"releaseId: '2\\n' {NOT_INTEGER}\n", "releaseId=2%0A"),
    in_form("id with a plus", f"applicationId: '+2' {NOT_INTEGER}\n", "applicationId=%2B2"),
    Row("a word for an integer", f"releaseId: 'four' {NOT_INTEGER}\n", "releaseId=four"),
    in_json("array for an integer", f"releaseId: a list {NOT_INTEGER}\n", '{"releaseId": [4]}'),
    in_json("object for integer", f"releaseId: an object {NOT_INTEGER}\n", '{"releaseId": {}}'),
    # Texts.
    Row("text in other cases", [4, 2], "applicationName=PROFITcalculator"),
    Row("a part of a text", [], "applicationName=Profit"),
    Row("a text with a space after it", [], "applicationName=TaxCalculator+"),
    Row("a wildcard is a letter", [], "applicationName=%25"),
    in_json("a number for a text", [1], '{"releaseNumber": 1}'),
    in_json("1.10 stays 1.10", [2], '{"releaseNumber": 1.10}', scenario=ODD),
    in_json("1.1 is not 1.10", [1], '{"releaseNumber": 1.1}', scenario=ODD),
    in_json("1e3 stays 1e3", [4], '{"releaseNumber": 1e3}', scenario=ODD),
    in_json("true is a text", [MAX], '{"applicationName": true}', scenario=ODD),
    in_json("false is a text too", [], '{"releaseName": false}', scenario=ODD),
    Row("null in a query is a text", [MAX], "releaseName=null", scenario=ODD),
    Row("a number with leading zeros", [3], "releaseNumber=007", scenario=ODD),
    Row("a number without them is another", [], "releaseNumber=7", scenario=ODD),
    in_json("umlauts in capitals", [5], '{"pipelineName": "GLOBAL::ÜBERGABE"}', scenario=ODD),
    Row("signs of a query", [8], "pipelineName=a%3Db%26c%3Dd%3Fe%23f", scenario=ODD),
    in_form("signs of a form", [8], "applicationName=Stra%C3%9Fe+%26+S%C3%B6hne", scenario=ODD),
    in_json("JSON escapes", [5], '{"applicationName": "税\\u91d1計算機"}', scenario=ODD),
    in_json("half of a surrogate pair", "applicationName: ", '{"applicationName": "\\ud800"}'),
    in_json(
        "array for a text", "applicationName: a list is not text; ", '{"applicationName": ["Tax"]}'
    ),
    in_json(
        "object for a text",
        "pipelineName: an object is not text; ",
        '{"pipelineName": {"name": "Release"}}',
    ),
    # Status.
    Row("status in capitals", ACTIVE, "status=ACTIVE"),
    Row("status in another case", [3], "status=Canceled"),
    Row(
        "status misspelt",
        f"status: 'cancelled' {STATUSES}; did you mean canceled?\n",
        "status=cancelled",
    ),
    Row("status with a space", f"status: 'active ' {STATUSES}", "status=active+"),
    Row("two of the statuses", f"status: 'active,deployed' {STATUSES}", "status=active,deployed"),
    in_json("status true", STATUSES, '{"status": true}'),
    in_json("status in an array", f"status: a list {STATUSES}\n", '{"status": ["active"]}'),
    # The key: its five places, two names, and which one decides.
    Row("key in the header", ALL, headers={"x-apikey": "abc12345"}),
    Row("key with Basic", ALL, headers=basic("api:abc12345")),
    Row("key in the query", [3], "key=abc12345&status=canceled", headers={}),
    Row("API_Key in the query", [3], "status=canceled&API_Key=abc12345", headers={}),
    in_form("key in a form", [3], "key=abc12345&status=canceled", BARE_FORM),
    in_form("API_Key in a form", [3], "api_key=abc12345&status=canceled", BARE_FORM),
    in_parts("key in a multipart form", ALL, 'key"\r\n\r\nabc12345', headers=BARE_PARTS),
    in_json("API_Key in JSON", [3], '{"API_Key": "abc12345", "status": "canceled"}', BARE_JSON),
    in_json("key in JSON", [3], '{"KEY": "abc12345", "status": "canceled"}', BARE_JSON),
    in_json("API_Key in JSON without a type", ALL, '{"API_Key": "abc12345"}', headers={}),
    Row("no key", 403, headers={}),
    Row("no key in a POST", 403, headers={}, method="POST"),
    Row("a wrong key", 403, headers=WRONG),
    Row("a key in other cases", 403, headers={"X-ApiKey": "ABC12345"}),
    Row("an empty header", 403, headers={"X-ApiKey": ""}),
    Row("an empty key in the query", 403, "key=", headers={}),
    in_json("null for a key", 403, '{"API_Key": null}', BARE_JSON),
    in_json("an array for a key", 403, '{"API_Key": ["abc12345"]}', BARE_JSON),
    Row("Basic with another user", 403, headers=basic("admin:abc12345")),
    Row("Basic with a wrong key", 403, headers=basic("api:wrong")),
    Row("Basic with no key", 403, headers=basic("api:")),
    Row("Basic that cannot be read", 403, headers={"Authorization": "Basic ???"}),
    Row("a bearer token", 403, headers={"Authorization": "Bearer abc12345"}),
    Row("the header before Basic, good", ALL, headers={**KEY, **basic("api:wrong")}),
    Row("the header before Basic, wrong", 403, headers={**WRONG, **basic("api:abc12345")}),
    Row("the header before the query, good", ALL, "key=wrong"),
    Row("the header before the query, wrong", 403, "key=abc12345", headers=WRONG),
    Row("Basic before the query, good", ALL, "key=wrong", headers=basic("api:abc12345")),
    Row("Basic before the query, wrong", 403, "key=abc12345", headers=basic("api:wrong")),
    Row("another user of Basic is no key", ALL, "key=abc12345", headers=basic("admin:wrong")),
    Row("an empty header is no key", ALL, "key=abc12345", headers={"X-ApiKey": ""}),
    in_form("query before form, good", ALL, "key=wrong", BARE_FORM, query="key=abc12345"),
    in_form("query before form, wrong", 403, "key=abc12345", BARE_FORM, query="key=wrong"),
    in_json(
        "query before JSON, good", ALL, '{"API_Key": "wrong"}', BARE_JSON, query="key=abc12345"
    ),
    in_json(
        "query before JSON, wrong", 403, '{"API_Key": "abc12345"}', BARE_JSON, query="API_Key=wrong"
    ),
    in_json("an empty key is no key", ALL, '{"API_Key": "abc12345"}', BARE_JSON, query="key="),
    in_json("header before JSON", 403, '{"API_Key": "abc12345"}', {**BARE_JSON, **WRONG}),
    Row("a key is no filter", ACTIVE, "key=abc12345&API_Key=x&status=active"),
    # 403 comes before any 400.
    Row("no key and a bad filter", 403, "status=x&colour=red&releaseId=x", headers={}),
    in_json("no key and bad JSON", 403, '{"API_Key": "abc12345"', BARE_JSON),
    in_form("no key and JSON as a form", 403, '{"API_Key": "abc12345"}', BARE_FORM),
    in_json("a wrong key and a great body", 403, " " * 1_100_000, {**BARE_JSON, **WRONG}),
    # Paths and methods.
    Row("path in capitals", [3], "status=canceled", path="/API/RELEASES"),
    Row("path in other cases, with a slash", [3], "status=canceled", path="/Api/Releases/"),
    Row("a slash at the end", ALL, path="/api/releases/"),
    in_json("a slash at the end of a POST", ACTIVE, '{"status": "active"}', path="/api/releases/"),
    Row("two slashes at the end", 404, path="/api/releases//"),
    Row("two slashes inside", 404, path="/api//releases"),
    Row("another path", 404, path="/api/release"),
    Row("a path below", 404, path="/api/releases/4"),
    Row("HEAD", 200, "status=active", method="HEAD"),
    Row("HEAD of a bad request", 400, "status=x", method="HEAD"),
    Row("HEAD without a key", 403, headers={}, method="HEAD"),
    Row("DELETE", 405, method="DELETE"),
    Row("PATCH", 405, method="PATCH"),
    Row("OPTIONS", 405, method="OPTIONS"),
    in_json("PUT", 405, '{"status": "active"}', method="PUT"),
    Row("DELETE in capitals with a slash", 405, method="DELETE", path="/API/releases/"),
]
