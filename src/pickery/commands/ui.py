"""`pickery ui`: MLflow's own web page, on this project's runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from pickery.config.schema import UiConfig
from pickery.cross_validation.study.presence import FOLDER as WORKERS
from pickery.cross_validation.study.presence import present
from pickery.errors import InputError
from pickery.terminal import Terminal
from pickery.termination import terminable, uninterrupted
from pickery.tracking import end_dead, experiment_page, quiet_mlflow, reason, store_uri
from pickery.training.record import tracked_run_in
from pickery.training.run_folder import is_at_work

NO_BROWSER_OPENS = {
    *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6679, 6697, 10080),
    *range(6665, 6670),
}
"""Ports above 1023 at which browsers open no page, lest it speak to another service (Fetch standard, port blocking)."""


def run(config: UiConfig) -> None:
    """Serve the page until Ctrl-C, SIGTERM or the end of its terminal."""
    root, uri = Path(config.tracking.root), config.tracking.uri
    if uri is None and not (root / "mlflow.db").exists():
        raise InputError(f"tracking.root={root} holds no runs yet: pickery train makes some")
    with Terminal() as terminal:
        page = _page(config)
        _end_dead(config, terminal)
        if uri is not None and uri.startswith(("http://", "https://")):
            terminal.head(f"the runs are at {uri.rstrip('/')}/{page}")
            return
        _check_address(config.ui.host, config.ui.port)
        terminal.head(f"the runs are at http://{config.ui.host}:{config.ui.port}/{page}")
        terminal.say("Ctrl-C ends the page")
        quiet_mlflow()
        # without its job runner the server takes a sixth of the memory
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store_uri(root, uri), "--workers", "1"]
        command += ["--host", config.ui.host, "--port", str(config.ui.port)]
        server = None
        try:
            with terminable():  # asked by the system to end: not without the server, which would keep the port
                with uninterrupted():  # else a server that is being started would be nobody's
                    # a session of its own: MLflow's server is a process behind the one begun here, and both must end
                    server = subprocess.Popen(command, env=environment, start_new_session=True)
                status = server.wait()
        except KeyboardInterrupt:
            if server is not None:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait()
            return
        if status != 0:
            raise InputError(f"the page ended with status {status}; MLflow said why above")


def _page(config: UiConfig) -> str:
    root, uri = Path(config.tracking.root), config.tracking.uri
    try:
        return experiment_page(root, uri, config.tracking.experiment)
    except InputError:
        raise
    except Exception as error:  # whatever a store or a server may raise
        setting = f"tracking.root={root}" if uri is None else f"tracking.uri={uri}"
        remedy = "give another folder of runs" if uri is None else "start that server, or correct the address"
        raise InputError(f"{setting} does not answer ({reason(error)}): {remedy}") from error


def _end_dead(config: UiConfig, terminal: Terminal) -> None:
    """Set right what the table of runs says of those that were killed outright."""
    try:
        names = end_dead(Path(config.tracking.root), config.tracking.uri, config.tracking.experiment, _last_sign)
    except Exception:  # a store that may only be read, or does not answer: the page shows what it has
        return
    for name in names:
        terminal.say(f"{name} was killed and is marked so; the command that began it takes it up again")


def _last_sign(folder: Path, run_id: str) -> float | None:
    """Give when a run's folder was last written to; None where somebody is at work in it, or it is another's."""
    if tracked_run_in(folder) != run_id:
        return None
    of_several = (folder / WORKERS).is_dir()  # a cross-validation's, whose trainings have folders of their own
    if present(folder) if of_several else is_at_work(folder):
        return None
    return max(path.stat().st_mtime for path in folder.iterdir() if path.is_file() and path.name[0] != ".")


def _check_address(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on: MLflow would say so in its own words, and end as if all were well.

    Raises
    ------
    InputError
        When the port is taken or not allowed, no browser opens it, or the host is not this machine's.
    """
    another = next((n for n in range(max(port + 1, 1024), 65536) if n not in NO_BROWSER_OPENS), 5000)
    if port in NO_BROWSER_OPENS:
        raise InputError(
            f"ui.port={port} is kept for another service, and browsers open no page there: give another, such as "
            f"ui.port={another}"
        )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise InputError(
            f"ui.host={host} ui.port={port} cannot be listened on ({error.strerror or error}): give another, such as "
            f"ui.port={another}"
        ) from error
