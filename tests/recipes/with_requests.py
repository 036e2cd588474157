"""Tests of a running mock with pytest and requests, where mockbm itself is not installed.

Copy it as `test_releases.py`, and start the mock with `mockbm serve`. MOCKBM_URL is its address,
and MOCKBM_ADMIN_TOKEN its admin token, where it has one.
"""

import os

import pytest
import requests

MOCK = os.environ.get("MOCKBM_URL", "http://127.0.0.1:8080")
TOKEN = os.environ.get("MOCKBM_ADMIN_TOKEN")

admin = requests.Session()
if TOKEN:
    admin.headers["Authorization"] = f"Bearer {TOKEN}"


@pytest.fixture
def session():
    opened = admin.post(f"{MOCK}/__admin/sessions", json={"scenario": "documented"}).json()
    yield opened
    admin.delete(MOCK + opened["links"]["self"])


def releases(api_key):
    return requests.get(f"{MOCK}/api/releases", headers={"X-ApiKey": api_key}).json()


def test_switching(session):
    assert len(releases(session["apiKey"])) == 7
    admin.put(MOCK + session["links"]["scenario"], json={"name": "empty"}).raise_for_status()
    assert releases(session["apiKey"]) == []


def test_pinned_key():
    assert releases("abc12345@empty") == []
