"""Tracked runs whose processes were killed outright: nobody was left to say so, and the store has them running."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from pickery.tracking.store import client, store_uri

HOST_TAG, FOLDER_TAG = "pickery.host", "pickery.folder"


def whereabouts(folder: Path) -> dict[str, str]:
    """Give the tags that say where a run is at work: this computer's name, and the run's folder."""
    return {HOST_TAG: socket.gethostname(), FOLDER_TAG: str(folder.resolve())}


def end_dead(root: Path, uri: str | None, experiment: str, last_sign: Callable[[Path, str], float | None]) -> list[str]:
    """Mark as killed the runs of this computer that are said to be running while nobody is at work on them.

    Parameters
    ----------
    root
        Folder of the local database; used when ``uri`` is None.
    uri
        A tracking server instead.
    experiment
        Name of the experiment.
    last_sign
        Told a run's folder and identifier. Gives when it last wrote something, in seconds since 1970; None where
        somebody is at work on it, or where that cannot be told.

    Returns
    -------
    list of str
        Their names.
    """
    store = client(store_uri(root, uri))
    found = store.get_experiment_by_name(experiment)
    if found is None:
        return []
    asked = f"attributes.status = 'RUNNING' and tags.`{HOST_TAG}` = '{socket.gethostname()}'"
    ended = []
    for run in store.search_runs([found.experiment_id], asked):
        folder = run.data.tags.get(FOLDER_TAG)
        seconds = None if folder is None else last_sign(Path(folder), run.info.run_id)
        if seconds is not None:
            end = max(run.info.start_time, int(seconds * 1000))
            store.set_terminated(run.info.run_id, status="KILLED", end_time=end)
            ended.append(run.info.run_name)
    return ended
