"""The Tab key: what is offered, and that bash offers it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pickery.config import catalogue
from pickery.config.commands import COMMANDS
from pickery.config.completion import FILES, complete, script

PRUNING = "cross_validation.pruning="
OPTIMIZER = [f"cross_validation.parameter=optimizer.{name}" for name in ("learning_rate", "weight_decay", "momentum")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["tr"], ["train"]),
        (["--v"], ["--version"]),
        (["--completion", ""], ["bash", "zsh", "fish"]),
        (["help", "p"], ["pick", "preprocess"]),
        (["train", "opt"], ["optimizer=", "optimizer."]),
        (["train", "se"], ["seed="]),
        (["train", "model.po"], ["model.pooling="]),
        (["train", "model=resnet"], ["model=resnet8", "model=resnet16"]),
        (["train", "loss=pu,ge"], ["loss=pu,ge_binomial", "loss=pu,ge_kl"]),
        (["train", "model.pooling="], ["model.pooling=none", "model.pooling=max", "model.pooling=average"]),
        (["train", "trainer.compile=f"], ["trainer.compile=false"]),
        (["train", "sampler.resident="], [f"sampler.resident={word}" for word in ("auto", "true", "false")]),
        (["train", "trainer.threads="], ["trainer.threads=null"]),
        (["train", "data.micrographs=mi"], [FILES]),
        (["train", "--config-dir", "x"], [FILES]),
        (["train", "--cfg", "j"], ["job"]),
        (["train", "--mu"], ["--multirun"]),
        (["train", "experiment=few"], ["experiment=few_labels"]),
        (["train", "nonsense="], []),
        (["nonsense", ""], []),
        (["ui", "ui."], ["ui.host=", "ui.port="]),
        (["cr"], ["cross-validate"]),
        (["cross-validate", "cross"], ["cross_validation."]),
        (["cross-validate", "cross_validation.parameter=opt"], OPTIMIZER),
        (["cross-validate", "cross_validation.pruning="], [f"{PRUNING}none", f"{PRUNING}halving"]),
        (["cross-validate", "model=resnet"], ["model=resnet8", "model=resnet16"]),
    ],
)
def test_words_are_completed(line: list[str], expected: list[str]) -> None:
    assert complete(line) == expected


def test_every_command_and_every_setting_is_offered() -> None:
    assert set(COMMANDS) <= set(complete([""]))
    for command in COMMANDS:
        for key in catalogue.settings(command):
            assert f"{key}=" in complete([command, key])


def test_what_stands_on_the_line_is_not_offered_again() -> None:
    assert complete(["train", "model=conv31", "model.units=8", "mod"]) == ["model."]
    assert "model.units=" not in complete(["train", "model.units=8", "model."])


def test_bash_completes(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (tmp_path / "micrographs").mkdir()
    program = tmp_path / "pickery"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pickery "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    # as bash calls it: words taken apart at =, the line whole
    asked = [
        ("tr", ["tr"]),
        ("train model=resnet", ["train", "model", "=", "resnet"]),
        ("train model.units=8 model.po", ["train", "model.units", "=", "8", "model.po"]),
        ("train trainer.compile=", ["train", "trainer.compile", "="]),
        ("train data.micrographs=mic", ["train", "data.micrographs", "=", "mic"]),
    ]
    lines = ["set -e", 'eval "$(pickery --completion bash)"', "complete -p pickery"]
    for line, words in asked:
        quoted = " ".join(f"'{word}'" for word in ["pickery", *words])
        lines += [
            f"COMP_LINE='pickery {line}' COMP_POINT={len(line) + 8} COMP_WORDS=({quoted}) COMP_CWORD={len(words)}",
            "COMPREPLY=()",
            f"_pickery pickery '{words[-1]}' || true",
            'echo "${COMPREPLY[*]}"',
        ]
    done = subprocess.run(
        [bash, "--noprofile", "--norc", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "complete -F _pickery pickery",
        "train",
        "resnet8 resnet16",
        "model.pooling=",
        "true false",
        "micrographs",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_read_by_their_shells(shell: str) -> None:
    assert "pickery --completion" in script(shell)
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([program, "-n"], input=script(shell), text=True, check=True)
