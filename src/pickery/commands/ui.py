"""`pickery ui`: MLflow's own web page, on this project's runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pickery.config.schema import UiConfig
from pickery.errors import InputError
from pickery.terminal import Terminal
from pickery.tracking import experiment_page, quiet_mlflow, store_uri


def run(config: UiConfig) -> None:
    """Serve the page until Ctrl-C."""
    root, uri = Path(config.tracking.root), config.tracking.uri
    if uri is None and not (root / "mlflow.db").exists():
        raise InputError(f"tracking.root={root} holds no runs yet: pickery train makes some")
    with Terminal() as terminal:
        page = experiment_page(root, uri, config.tracking.experiment)
        if uri is not None and uri.startswith(("http://", "https://")):
            terminal.head(f"the runs are at {uri.rstrip('/')}/{page}")
            return
        terminal.head(f"the runs are at http://{config.ui.host}:{config.ui.port}/{page}")
        terminal.say("Ctrl-C ends the page")
        quiet_mlflow()
        # without its job runner the server takes a sixth of the memory
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store_uri(root, uri), "--workers", "1"]
        command += ["--host", config.ui.host, "--port", str(config.ui.port)]
        with subprocess.Popen(command, env=environment) as server:
            try:
                status = server.wait()
            except KeyboardInterrupt:
                server.terminate()
                server.wait()
                return
        if status != 0:
            raise InputError(
                f"the page ended with status {status}; if the port is taken, ui.port={config.ui.port + 1} is another"
            )
