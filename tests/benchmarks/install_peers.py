"""Install what mockbm is measured with: `python3 tests/benchmarks/install_peers.py`.

Into the directory that MOCKBM_BENCHMARKS names, or ~/.cache/mockbm-benchmarks: a virtual
environment with mockbm of this tree and its Python peers, and the peers of npm, WireMock's jar
among them. What cannot be installed is reported, and not measured then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("MOCKBM_BENCHMARKS", Path.home() / ".cache" / "mockbm-benchmarks"))
PYTHON = (f"{TREE}[uvloop,test]", "pytest-httpserver", "responses")
NODE = ("wiremock@3", "json-server@1.0.0-beta.15")
DEBIAN = {
    "nginx": "nginx-light",
    "wrk": "wrk",
    "valgrind": "valgrind",
    "java": "default-jre-headless",
    "npm": "npm",
}
"""Programs, and the packages that have them."""


def main() -> None:
    python, node = CACHE / "venv" / "bin" / "python", CACHE / "node"
    node.mkdir(parents=True, exist_ok=True)
    (node / "package.json").write_text('{"private": true}\n')
    _run(sys.executable, "-m", "venv", str(CACHE / "venv"))
    for name in PYTHON:
        editable = ["-e"] if name.startswith(str(TREE)) else []
        _run(str(python), "-m", "pip", "install", "-q", *editable, name)
    for name in NODE if shutil.which("npm") else ():
        _run("npm", "install", "--prefix", str(node), "--no-audit", "--no-fund", name)
    missing = [package for program, package in DEBIAN.items() if shutil.which(program) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}; as root: apt-get install {' '.join(missing)}")
    print(f"now: {python} tests/benchmarks")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"{'installed' if done.returncode == 0 else 'FAILED'}: {command[-1]}", flush=True)
    if done.returncode:
        print(f"{done.stdout}{done.stderr}".strip())


if __name__ == "__main__":
    main()
