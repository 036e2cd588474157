"""Install the peers that mockbm is measured beside: `python3 tests/benchmarks/install_peers.py`.

Into the directory that MOCKBM_BENCHMARKS names, or ~/.cache/mockbm-benchmarks: a virtual
environment with mockbm of this tree and its Python peers, and the peers of npm, two of which are
Java programs. What cannot be installed is told, and left out. Then measure with that
environment's Python, as the last line says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("MOCKBM_BENCHMARKS", Path.home() / ".cache" / "mockbm-benchmarks"))
PYTHON = ("pytest-httpserver", "responses")
NODE = (
    "wiremock@3",  # the jar is in the package
    "mockserver-node",  # here too
    "mountebank",
    "json-server@1.0.0-beta.15",
    "@stoplight/prism-cli",
    "@mockoon/cli",
)
DEBIAN = {"nginx": "nginx-light", "wrk": "wrk"}
"""Programs, and the packages that have them."""


def main() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    python = CACHE / "venv" / "bin" / "python"
    if not python.exists():
        _run("a virtual environment", [sys.executable, "-m", "venv", str(CACHE / "venv")])
    _run("mockbm", [str(python), "-m", "pip", "install", "-q", "-e", f"{TREE}[fast,test]"])
    for name in PYTHON:
        _run(name, [str(python), "-m", "pip", "install", "-q", name])
    if shutil.which("npm"):
        node = CACHE / "node"
        node.mkdir(exist_ok=True)
        (node / "package.json").write_text('{"private": true}\n')
        for name in NODE:
            _run(name, ["npm", "install", "--prefix", str(node), "--no-audit", "--no-fund", name])
    else:
        print("npm is not installed; the peers of Node and Java are left out")
    if shutil.which("java") is None:
        print("java is not installed; WireMock and MockServer will not run")
    missing = [package for program, package in DEBIAN.items() if shutil.which(program) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}; as root: apt-get install {' '.join(missing)}")
    print(f"\nnow: {python} tests/benchmarks")


def _run(what: str, command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"{what}: {'installed' if done.returncode == 0 else 'NOT INSTALLED'}", flush=True)
    if done.returncode:
        print(f"{done.stdout}{done.stderr}".strip())


if __name__ == "__main__":
    main()
