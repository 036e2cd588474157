"""A server within its process: what forked children and the end of the process do to it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest


def run(script: str) -> str:
    """The output of a Python script in a process of its own, which must end by itself."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_keep_the_port() -> None:
    """A stop ends listening also where a child has the socket; a later start finds it free."""
    printed = run(
        """
        import os, signal, time, urllib.error, urllib.request
        from mockbm import MockServer

        def show():
            try:
                with urllib.request.urlopen(f"{server.url}/health", timeout=10) as answer:
                    print(answer.status)
            except urllib.error.URLError as error:
                print(error.reason.strerror)

        server = MockServer()
        server.start()
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        try:
            show()
            server.stop()
            show()
            server.start()
            show()
        finally:
            os.kill(child, signal.SIGKILL)
        """
    )
    assert printed.splitlines() == ["200", "Connection refused", "200"]


def test_a_process_ends_while_an_answer_is_late() -> None:
    """A server that is never stopped does not hold its process, not even with an answer to come."""
    printed = run(
        """
        import threading, time, urllib.request
        from mockbm import MockServer

        server = MockServer()
        server.start()
        session = server.open_session()
        session.use_values({"releases": [], "faults": [{"delay": "1h"}]})
        url = f"{server.url}/api/releases?key={session.api_key}"
        threading.Thread(target=urllib.request.urlopen, args=(url,), daemon=True).start()
        while not session.requests():
            time.sleep(0.01)
        print("under way")
        """
    )
    assert printed == "under way\n"
