"""The tracked run: the only room that imports MLflow. A tracker in trouble never ends a training."""

from typing import Any

from pickery.tracking.dead import end_dead, whereabouts
from pickery.tracking.files import fetch_model, fetch_record, is_tracked, keep_with_run
from pickery.tracking.mlflow_tracker import MLflowTracker
from pickery.tracking.store import create_store, experiment_page, quiet_mlflow, reason, store_uri
from pickery.tracking.tracker import Status, Tracker

__all__ = [
    "MLflowTracker",
    "Status",
    "Tracker",
    "create_store",
    "end_dead",
    "experiment_page",
    "fetch_model",
    "fetch_record",
    "is_tracked",
    "keep_with_run",
    "open_tracker",
    "quiet_mlflow",
    "reason",
    "store_uri",
    "whereabouts",
]


def open_tracker(*, enabled: bool, **options: Any) -> Tracker:
    """Begin a tracked run or go on with one (options: those of `MLflowTracker`); not enabled, one that does nothing."""
    return MLflowTracker(**options) if enabled else Tracker()
