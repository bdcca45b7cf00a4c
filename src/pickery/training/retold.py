"""What a finished run's tracked run lacks, told from the run's folder: a kill or a store that was away kept it back."""

from __future__ import annotations

import json
from pathlib import Path

from pickery.config.schema import TrainConfig
from pickery.tracking import Tracker
from pickery.training.common import introduce, track_epoch, track_finished
from pickery.training.division import TrainingData
from pickery.training.history import read_metrics


def retell(config: TrainConfig, data: TrainingData, folder: Path, tracker: Tracker) -> None:
    """Tell a tracked run all that is known of a finished run; what it has already stays as it is, and single.

    Parameters
    ----------
    config
        All settings.
    data
        Prepared and divided data.
    folder
        The run's folder.
    tracker
        The tracked run, which need not know anything yet.
    """
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    introduce(config, data, tracker, summary["provenance"])
    told = tracker.steps("train/precision")
    for epoch in read_metrics(folder / "metrics.csv"):
        if epoch.number not in told:
            track_epoch(tracker, epoch)
    track_finished(tracker, folder, config, summary)
    tracker.artifacts([folder / name for name in ("config.yaml", "summary.json")])
