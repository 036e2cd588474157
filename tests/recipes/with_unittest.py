"""Tests with `unittest`, which starts the mock itself: they need mockbm, and nothing running.

Copy it as `test_releases.py`, and run `python -m unittest test_releases`.
"""

import json
import unittest
import urllib.request

from mockbm import MockServer


class ReleasesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = MockServer()
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self) -> None:
        self.session = self.server.open_session("documented")  # one for each test
        self.addCleanup(self.session.end)

    def releases(self) -> list[dict[str, object]]:
        request = urllib.request.Request(f"{self.server.url}/api/releases")
        request.add_header("X-ApiKey", self.session.api_key)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def test_documented(self) -> None:
        self.assertEqual(len(self.releases()), 7)

    def test_switching(self) -> None:
        self.session.use("empty")
        self.assertEqual(self.releases(), [])
        self.assertEqual(self.session.requests()[-1].status, 200)
