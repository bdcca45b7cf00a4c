import io
import math
from pathlib import Path

import pytest

from pickery.terminal import Terminal, duration
from pickery.terminal.picking import PickingTerminal
from pickery.training.history import Epoch


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (42.4, "42 s"), (61, "1 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_pipe_gets_plain_lines_and_the_log_all_of_them(tmp_path: Path) -> None:
    stream = io.StringIO()
    with Terminal(stream) as terminal:
        terminal.warn("early")
        terminal.keep_log(tmp_path / "log.txt")
        for done in range(1, 101):
            terminal.preparing(done, 100)
        terminal.training(1, 2, 5, 10, False)
        figures = {"objective": 1.5, "precision": 0.25}
        terminal.epoch(Epoch(1, 10, 1e-3, figures, {"precision": 0.125, "auprc": math.nan}), 2, "precision", True)
        terminal.working("scoring")
    said = stream.getvalue()
    assert "\x1b" not in said
    assert "warning: early" in said
    assert said.count("prepared") == 10
    assert "0.125" in said
    assert "best so far" in said
    logged = [line.split(" ", 2)[2] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert [line.rstrip() for line in said.splitlines()] == [line.rstrip() for line in logged if line != "scoring"]


def test_the_monitored_metric_has_a_column_of_its_own() -> None:
    stream = io.StringIO()
    figures = {"objective": 1.5, "precision": 0.25}
    with Terminal(stream) as terminal:
        terminal.epoch(Epoch(1, 10, 1e-3, figures, {"precision": 0.1, "auprc": 0.2, "tpr": 0.875}), 1, "tpr", False)
    head, line = stream.getvalue().splitlines()
    assert head.rstrip().endswith("tpr")
    assert line.rstrip().endswith("0.875")


def test_square_brackets_are_not_markup() -> None:
    stream = io.StringIO()
    with Terminal(stream) as terminal:
        terminal.say("data.micrographs=[a,b] [red]x[/red]")
    assert stream.getvalue() == "data.micrographs=[a,b] [red]x[/red]\n"


def test_a_pipe_hears_of_a_picking_at_every_tenth_and_not_of_what_was_done_before() -> None:
    stream = io.StringIO()
    with PickingTerminal(stream) as terminal:
        terminal.picking(50, 100, 600, None)
        for done in range(51, 101):
            terminal.picking(done, 100, 12 * done, 30.0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "picked 60 of 100 micrographs, 720 picks so far"
    assert len(lines) == 5
