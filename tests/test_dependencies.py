"""What is installed is what was locked: every package, its version and its hashes; and the audit says what it found."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    """Read a lock: packages to versions; each must have a hash."""
    found = {}
    for part in re.findall(r"^[^\s#].*(?:\n[ \t]+--hash.*)*", (ROOT / f"requirements/{name}.lock").read_text(), re.M):
        package, version = re.match(r"([\w.-]+)==([\w.+]+)", part).groups()  # type: ignore[union-attr]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", part), part
        found[normal(package)] = version
    return found


def asked(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", one)[0]) for one in requirements}  # type: ignore[index]


def test_everything_asked_for_is_locked_with_hashes() -> None:
    runtime, dev, torch = (locked(name) for name in ("runtime", "dev", "torch"))
    assert asked(PROJECT["dependencies"]) <= runtime.keys() | torch.keys()
    assert asked(PROJECT["optional-dependencies"]["dev"]) <= dev.keys()
    assert runtime.items() <= dev.items()
    assert locked("torch-cpu")["torch"].partition("+")[0] == torch["torch"]


def test_the_locks_hold_the_versions_that_are_stated() -> None:
    stated = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.M))
    for name in ("runtime", "dev", "torch"):
        for package, version in locked(name).items():
            assert {normal(key): value for key, value in stated.items()}.get(package, version) == version, package


@pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")
@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (
            {"name": "pillow", "version": "9", "vulns": [{"id": "CVE-1", "fix_versions": ["10"]}]},
            1,
            "CVE-1, mended in 10",
        ),
        ({"name": "pillow", "version": "12", "vulns": []}, 0, "1 of 1 packages checked, 0 with known"),
        ({"name": "pillow", "skip_reason": "not found"}, 0, "cannot be reached from here: nothing was checked"),
        (None, 0, "cannot be reached from here: nothing was checked"),
    ],
)
def test_the_audit_says_what_it_found(answer: object, status: int, says: str, tmp_path: Path) -> None:
    tool = tmp_path / "pip-audit"
    text = "" if answer is None else json.dumps({"dependencies": [answer]})
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    tool.chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts/audit"], capture_output=True, text=True, env=os.environ | {"PIP_AUDIT": str(tool)}, check=False
    )
    assert done.returncode == status, done.stderr
    assert done.stdout.count(says) == 3
