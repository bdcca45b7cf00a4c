"""Starts `pickery` again and again without importing everything each time: forks, and the child is the program.

Run as a program by `tests.programs`. It is asked in lines of JSON on its input and answers on its output. What
it is asked about files it answers in a process of its own: one that forks must not have MLflow's database open.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PRELOADED = (
    "pickery.commands.train", "pickery.commands.cross_validate", "pickery.commands.pick", "pickery.commands.simulate",
    "pickery.cross_validation.run", "pickery.training.run", "pickery.training.fit", "pickery.training.finish",
    "pickery.config.load", "pickery.picking.run", "optuna.storages.journal", "mlflow.tracking",
    "mlflow.system_metrics.system_metrics_monitor", "matplotlib.pyplot", "mlflow.store.tracking.sqlalchemy_store",
)  # fmt: skip


def start(words: list[str], folder: str, said: str, fault: str | None, environment: dict[str, str]) -> int:
    """Start `pickery WORDS` in a folder; a fault is Python that the program runs before anything else."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    from pickery.__main__ import program

    if fault is not None:
        exec(fault, {"__name__": "fault"})
    sys.argv[1:] = words
    status = program()
    sys.stdout.flush()
    sys.exit(status)


def poll(child: int) -> int | None:
    """Give the status of a program that has ended."""
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def mount(folder: str, size: str) -> None:
    """Put a disk of a size, such as 2m, in the place of a folder, or change the size of the one that is there."""
    options = ["remount"] if os.path.ismount(folder) else []
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"]), "disk", folder], check=True)


def unmount(folder: str) -> None:
    """Take the disk away again, with all that is on it."""
    subprocess.run(["umount", "--lazy", folder], check=True)


def read_only(folder: str) -> None:
    """Let nothing be written in a folder any more, but to files that are open."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


def copy(source: str, target: str) -> None:
    """Copy what is on a disk that only this process and its children see."""
    shutil.copytree(source, target)


def remove(path: str) -> None:
    """Remove a file from a disk."""
    Path(path).unlink()


def names(folder: str) -> list[str]:
    """Give the files of a disk, by their paths on it."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def tracked(root: str) -> list[dict[str, Any]]:
    """Give all tracked runs of a folder or a server, with the history of each metric, as MLflow's client reads them."""
    from mlflow import MlflowClient

    uri = root if root.startswith("http") else f"sqlite:///{Path(root).resolve() / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("pickery")
    if experiment is None:
        return []
    return [
        {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "ended": run.info.end_time is not None,
            "parent": run.data.tags.get("mlflow.parentRunId"),
            "history": {
                name: sorted([one.step, one.value] for one in client.get_metric_history(run.info.run_id, name))
                for name in run.data.metrics
            },
            "params": dict(run.data.params),
            "artifacts": sorted(one.path for one in client.list_artifacts(run.info.run_id)),
            "models": [one.status for one in _models(client, experiment.experiment_id, run.info.run_id)],
        }
        for run in client.search_runs([experiment.experiment_id])
    ]


def _models(client: Any, experiment: str, run: str) -> list[Any]:
    return [one for one in client.search_logged_models([experiment]) if one.source_run_id == run]


def aside(function: Any, given: list[Any]) -> Any:
    """Call a function in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            answer = {"answer": function(*given)}
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def main() -> None:
    """Answer until nobody asks any more."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what it starts in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup leaves it ignored
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from pickery.tracking import quiet_mlflow

    quiet_mlflow()
    for name in PRELOADED:
        importlib.import_module(name)
    print("ready", file=answers, flush=True)
    here = {"start": start, "poll": poll, "mount": mount, "unmount": unmount, "read_only": read_only}
    elsewhere = {"copy": copy, "remove": remove, "names": names, "tracked": tracked}
    for line in iter(sys.stdin.readline, ""):
        name, *given = json.loads(line)
        if name in elsewhere:
            answer = aside(elsewhere[name], given)
        else:
            try:
                answer = {"answer": here[name](*given)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
