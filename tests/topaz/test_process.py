import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pickery.topaz.process import run_program


def run(program, tmp_path, **heard):
    lines = {"on_output": lambda line: None, "on_error": lambda line: None} | heard
    return run_program([sys.executable, "-c", program], folder=tmp_path, environment=dict(os.environ), **lines)


def is_alive(pid):
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().split()[2] if os.path.exists("/proc") else "R"
        return state != "Z"
    return False


def test_lines_are_heard_from_both_pipes_and_the_status_given(tmp_path):
    out, err = [], []
    program = "import sys; print('one\\ntwo'); print('a\\rb', end='', file=sys.stderr); sys.exit(4)"
    assert run(program, tmp_path, on_output=out.append, on_error=err.append) == 4
    assert (out, err) == (["one", "two"], ["a", "b"])


def test_whatever_is_raised_by_a_listener_ends_the_program_and_what_it_started(tmp_path):
    program = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    pids = []

    def interrupt(line):
        pids.append(int(line))
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(program, tmp_path, on_output=interrupt)
    assert time.monotonic() - begun < 60
    until = time.monotonic() + 10
    while is_alive(pids[0]):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_program_killed_by_a_signal_has_a_negative_status(tmp_path):
    assert run("import os; os.kill(os.getpid(), 9)", tmp_path) == -9


def test_a_program_whose_reader_was_killed_outright_ends_at_its_next_line(tmp_path):
    writes = "import os, time\nprint(os.getpid(), flush=True)\nwhile True: print('line', flush=True); time.sleep(0.05)"
    reader = (
        "import os, sys; from pathlib import Path; from pickery.topaz.process import run_program;"
        f"run_program([sys.executable, '-c', {writes!r}], folder=Path('.'), environment=dict(os.environ),"
        "on_output=lambda line: print(line, flush=True), on_error=lambda line: None)"
    )
    with subprocess.Popen([sys.executable, "-c", reader], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    until = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_program_that_fails_is_heard_of_though_what_it_started_still_holds_its_pipes(tmp_path):
    program = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '600']);"
        "print(child.pid, flush=True); print('boom', file=sys.stderr); sys.exit(3)"
    )
    pids, said = [], []
    assert run(program, tmp_path, on_output=pids.append, on_error=said.append) == 3
    assert said == ["boom"]
    while is_alive(int(pids[0])):  # a killed process takes a moment
        time.sleep(0.01)
