"""A program that answers as Topaz does, in a twentieth of a second: it prints what Topaz prints and learns nothing."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

OPTIONS = """
--help --describe --device --num-workers --num-threads --train-images --train-targets --test-images --test-targets
--format --image-ext --k-fold --fold --cross-validation-seed --num-particles --pi --radius --method --slack
--autoencoder --l2 --learning-rate --natural --minibatch-size --minibatch-balance --epoch-size --num-epochs
--pretrained --no-pretrained --model --units --dropout --bn --pooling --unit-scaling --ngf --save-prefix --output
--test-batch-size
""".split()

_PROGRAM = """
import json, pathlib, shutil, subprocess, sys, time

here = pathlib.Path(__file__).parent
does = json.loads((here / "does.json").read_text())
words = sys.argv[1:]
if words == ["--version"]:
    print(does["version"])
elif words == ["train", "--help"]:
    if does["help_fails"]:
        sys.exit("ModuleNotFoundError: No module named 'torch'")
    print("usage: topaz train " + " ".join(f"[{option} VALUE]" for option in does["options"]))
else:
    given = {}
    for word, value in zip(words[1:], [*words[2:], "--"]):
        if word.startswith("--") and not word[2:3].isdigit():
            given[word] = None if value.startswith("--") else value
    with (here / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(given) + "\\n")
    seen = here / "seen"
    shutil.rmtree(seen, ignore_errors=True)
    shutil.copytree(pathlib.Path(given["--train-images"]).parent, seen)

    def note(text):
        print(text, file=sys.stderr, flush=True)

    def row(*cells):
        print("\\t".join(map(str, cells)), flush=True)
        time.sleep(does["seconds_a_row"])

    note("# Loading model: " + given["--model"])
    note(f"# 0\\ttrain\\t0.1\\t{does['counts'][0]}\\t{does['counts'][1]}")
    if does["sleeper"]:
        sleeper = subprocess.Popen(["sleep", "600"])
        (here / "sleeper.pid").write_text(str(sleeper.pid))
    ge = given["--method"].startswith("GE")
    adjusted = "--patch-size" in does["options"]
    epochs, size, n = int(given["--num-epochs"]), int(given["--epoch-size"]), 0
    row("epoch", "iter", "split", "loss", *["ge_penalty"] * ge, "precision", *["adjusted_precision"] * adjusted,
        "tpr", "fpr", "auprc")
    for epoch in range(1, epochs + 1):
        precision = does["precisions"][epoch - 1]
        for minibatch in range(size):
            n += 1
            if [epoch, minibatch] == does["fails_at"]:
                note("Traceback (most recent call last):")
                note('  File "train.py", line 1, in train')
                note("RuntimeError: the reason why")
                sys.exit(3)
            bare = [epoch, minibatch] in does["without_positive"]
            loss = "nan" if bare or epoch == does["nan_in"] else 0.5
            row(epoch, n, "train", loss, *[0.25] * ge, 0.125, *[9.0] * adjusted, loss, 0.375, "-")
        if "--test-images" in given:
            held_out = "nan" if epoch == does["nan_in"] else precision
            row(epoch, n + 1, "test", held_out, *["-"] * ge, held_out, *[9.0] * adjusted, 0.5, 0.25, precision / 2)
        shutil.copyfile(given["--model"], f"{given['--save-prefix']}_epoch{epoch}.sav")
        if epoch == does["stops_after"]:
            sys.exit()
    note("# Done!")
"""


@dataclass(frozen=True)
class FakeTopaz:
    """The program, and what it was asked."""

    path: Path

    @property
    def calls(self) -> list[dict[str, str]]:
        """The options of each training so far."""
        file = self.path.parent / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def seen(self) -> Path:
        """What it was last given to read."""
        return self.path.parent / "seen"

    def words(self, *more: str) -> list[str]:
        """Give the settings that have it train."""
        return ["engine=topaz", f"engine.executable={self.path}", *more]


@pytest.fixture
def topaz(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FakeTopaz]:
    """Make a program that answers as Topaz 0.2.5 does, but for what is said."""

    def make(*, since_0_3: bool = False, without: tuple[str, ...] = (), **does: Any) -> FakeTopaz:
        folder = tmp_path_factory.mktemp("topaz")
        options = [option for option in OPTIONS if option not in without]
        standard = {
            "version": "TOPAZ 0.2.5a",
            "options": [*options, "--patch-size"] if since_0_3 else options,
            "help_fails": False,
            "precisions": [0.25, 0.75, 0.5, 0.5, 0.5],
            "counts": [0, 1],
            "fails_at": None,
            "nan_in": None,
            "without_positive": [],
            "stops_after": None,
            "seconds_a_row": 0,
            "sleeper": False,
        }
        assert not does.keys() - standard.keys()
        (folder / "does.json").write_text(json.dumps(standard | does))
        (folder / "fake.py").write_text(_PROGRAM)
        program = folder / "topaz"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{folder / "fake.py"}" "$@"\n')
        program.chmod(0o755)
        return FakeTopaz(program)

    return make
