"""The topaz program: where it is, which version it says it is, and what it can be told. Knows no settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pickery.errors import InputError
from pickery.topaz.process import end_group

SETTING = "engine.executable"
ANSWERS_WITHIN_S = 300
"""A program on a cold network disk takes a minute or more to load torch."""

_SINCE_0_3 = "--patch-size"
"""An option that `topaz train` has had since 0.3.0, which says of itself that it is 0.2.5."""


@dataclass(frozen=True)
class TopazProgram:
    """A topaz program.

    Attributes
    ----------
    path
        The program.
    version
        As it says itself: ``0.2.5a``.
    options
        What ``topaz train`` can be told: ``--train-images`` and so on.
    """

    path: str
    version: str
    options: frozenset[str]

    @property
    def number(self) -> tuple[int, ...]:
        """Give the version as numbers; 0.3.0 where it is that or later and says otherwise."""
        found = tuple(int(part) for part in re.findall(r"\d+", self.version)[:3])
        return max(found, (0, 3, 0)) if _SINCE_0_3 in self.options else found

    @property
    def since_0_3(self) -> bool:
        """Whether it is 0.3.0 or later."""
        return self.number >= (0, 3)

    @property
    def name(self) -> str:
        """Name it in words."""
        said = re.findall(r"\d+(?:\.\d+)*", self.version)
        is_0_3_0 = self.since_0_3 and said and said[0].startswith("0.2")
        return "topaz 0.3.0" if is_0_3_0 else f"topaz {self.version}"


def find_program(executable: str) -> TopazProgram:
    """Find the program and ask it what it is.

    Parameters
    ----------
    executable
        Its path, or its name where the shell finds it.

    Raises
    ------
    InputError
        When there is none, or it does not answer as Topaz does.
    """
    expanded = str(Path(executable).expanduser()) if executable.startswith("~") else executable
    path = shutil.which(expanded)
    if path is None:
        if Path(expanded).is_dir():
            raise InputError(f"{SETTING}={executable} is a folder: give the program in it, such as {executable}/topaz")
        if Path(expanded).exists():
            raise InputError(f"{SETTING}={executable} is no program: check the path, or make it executable (chmod +x)")
        raise InputError(f"{SETTING}={executable}: there is no such program; give the path of the topaz program")
    path = os.path.abspath(path)
    return _ask(path, Path(path).stat().st_mtime_ns)


def environment() -> dict[str, str]:
    """Give the environment in which the program runs: the user's, and what it needs to be heard."""
    return os.environ | {
        "PYTHONUNBUFFERED": "1",  # each line of figures as it is known
        # torch 2.6 and later reads no whole modules by itself, which is what Topaz writes and is begun with
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
    }


@cache
def _ask(path: str, changed_ns: int) -> TopazProgram:
    """Ask a program that was last changed then; both questions at once, as it takes seconds to load."""
    asked = [["--version"], ["train", "--help"]]
    running: list[subprocess.Popen[str]] = []
    answers = []
    try:
        for words in asked:
            running.append(
                subprocess.Popen(
                    [path, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                    env=environment() | {"COLUMNS": "200"},
                )
            )
        for words, process in zip(asked, running, strict=True):
            said = process.communicate(timeout=ANSWERS_WITHIN_S)[0]
            if process.returncode != 0:
                last = (said.strip().splitlines() or ["nothing"])[-1].strip()
                what = f"`{path} {' '.join(words)}` ended with status {process.returncode}"
                raise InputError(f"{SETTING}={path} does not work: {what} and said: {last}")
            answers.append(said)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{SETTING}={path} did not answer within {ANSWERS_WITHIN_S} s: is it the topaz program?"
        ) from None
    except OSError as error:
        raise InputError(f"{SETTING}={path} cannot be run ({error.strerror or error})") from error
    finally:
        for process in running:
            end_group(process)
            assert process.stdout is not None
            process.stdout.close()
    version = re.search(r"\d+\.\d+(?:\.\d+)?\w*", answers[0])
    options = frozenset(re.findall(r"(?<![\w-])--[a-z][\w-]*", answers[1]))
    if version is None or "--train-images" not in options:
        raise InputError(f"{SETTING}={path} does not answer as Topaz does: give the path of the topaz program")
    return TopazProgram(path, version[0], options)
