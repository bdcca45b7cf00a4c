"""The tracker that records a run in MLflow. In trouble it never ends a training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pickery.errors import InputError
from pickery.termination import uninterrupted
from pickery.tracking.store import client, create_store, reason, store_uri
from pickery.tracking.tracker import Status, Tracker

KEY_TAG, STEP_TAG = "pickery.key", "pickery.step"
RETRY_AFTER_S = 60.0  # a server that hangs costs twenty seconds each time it is asked


class MLflowTracker(Tracker):
    """Records a run in MLflow.

    Whatever MLflow refuses (a locked database, a server that is gone, a full disk) is kept and tried again with a
    later record and at the end; the first failure is told once, and what could not be delivered at the end is told too.

    Parameters
    ----------
    root
        Folder of the local database and artifacts; used when ``uri`` is None.
    uri
        A tracking server instead.
    experiment
        Name of the experiment.
    run_name
        The run's name.
    run_id
        An earlier run to go on with; a new one is begun if it is gone.
    key
        A word that marks the run. Without ``run_id``, a run that bears it is gone on with: whoever began it was killed
        before it could write down the identifier.
    parent
        The run that a new one is part of: the UI shows it beneath.
    system_metrics
        Record processor, memory and GPU use as well.
    warn
        Told of trouble, in a sentence.
    """

    def __init__(
        self,
        *,
        root: Path,
        uri: str | None,
        experiment: str,
        run_name: str,
        run_id: str | None,
        key: str | None = None,
        parent: str | None = None,
        system_metrics: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._uri = store_uri(root, uri)
        self._root = None if uri is not None else root.resolve()
        self._experiment, self._run_name, self.run_id = experiment, run_name, run_id
        self._parent, self._key = parent, key
        self._warn = warn
        self._warned = False
        self._pending: list[Callable[[], None]] = [self._open]
        self._quiet_until = 0.0
        self._store: Any = None
        self._experiment_id = ""
        self._monitor: Any = None
        if self._root is not None:
            try:
                create_store(self._root)
            except InputError:
                raise
            except Exception:  # such as a full disk in SQLite's words
                pass  # `_open` meets the same trouble, tells of it and is tried again
        try:
            self._flush()
            if system_metrics:
                self._do(self._watch)
        except KeyboardInterrupt:  # nobody else has this tracker yet, to say so
            self.finish("KILLED")
            raise

    def _do(self, action: Callable[[], None], *, last: bool = False) -> None:
        self._pending.append(action)
        if last or time.monotonic() >= self._quiet_until:
            self._flush()

    def _flush(self) -> None:
        while self._pending:
            try:
                with uninterrupted():
                    self._pending[0]()
                    self._pending.pop(0)
            except Exception as error:  # whatever a store or a server may raise: the training matters more
                if not self._warned:
                    self._warn(
                        f"the tracking store {self._uri} does not answer ({reason(error)}); the training goes on, its "
                        "figures are kept in the run's folder, and the store is tried again"
                    )
                    self._warned = True
                self._quiet_until = time.monotonic() + RETRY_AFTER_S
                return

    def _open(self) -> None:
        if self._root is not None:
            create_store(self._root)
        self._store = client(self._uri)
        experiment = self._store.get_experiment_by_name(self._experiment)
        if experiment is None:
            location = None if self._root is None else (self._root / "artifacts" / self._experiment).as_uri()
            try:
                self._experiment_id = self._store.create_experiment(self._experiment, artifact_location=location)
            except Exception:  # another process was first
                experiment = self._store.get_experiment_by_name(self._experiment)
                if experiment is None:
                    raise
        if experiment is not None:
            if experiment.lifecycle_stage != "active":
                raise InputError(f"the experiment {self._experiment!r} was deleted: set tracking.experiment to another")
            self._experiment_id = experiment.experiment_id
        if self.run_id is None:
            self.run_id = self._of_key()
        if self.run_id is not None and self._known(self.run_id):
            self._store.update_run(self.run_id, status="RUNNING")
        else:
            tags = {} if self._parent is None else {"mlflow.parentRunId": self._parent}
            if self._key is not None:
                tags[KEY_TAG] = self._key
            run = self._store.create_run(self._experiment_id, run_name=self._run_name, tags=tags)
            self.run_id = run.info.run_id

    def _of_key(self) -> str | None:
        """Give the run that bears the key, if there is one."""
        if self._key is None:
            return None
        found = self._store.search_runs([self._experiment_id], f"tags.`{KEY_TAG}` = '{self._key}'", max_results=1)
        return found[0].info.run_id if found else None

    def _watch(self) -> None:
        import mlflow
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        mlflow.set_tracking_uri(self._uri)
        self._monitor = SystemMetricsMonitor(self.run_id, resume_logging=True)  # type: ignore[no-untyped-call]
        self._monitor.start()

    def _known(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return cast(str, self._store.get_run(run_id).info.lifecycle_stage) == "active"
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Record settings as MLflow parameters (written once: a resumed run keeps those it began with)."""
        taken = dict(values)

        def act() -> None:
            from mlflow.entities import Param

            known = self._store.get_run(self.run_id).data.params
            rows = [Param(name, str(value)[:6000]) for name, value in taken.items() if name not in known]
            for begin in range(0, len(rows), 100):
                self._store.log_batch(self.run_id, params=rows[begin : begin + 100])

        self._do(act)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        taken = dict(values)

        def act() -> None:
            from mlflow.entities import RunTag

            self._store.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in taken.items()])

        self._do(act)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record figures of one step in one write; those that are not a number are left out."""
        now, taken = int(time.time() * 1000), {name: float(value) for name, value in values.items() if value == value}

        def act() -> None:
            from mlflow.entities import Metric

            rows = [Metric(name, value, now, step) for name, value in taken.items()]
            self._store.log_batch(self.run_id, metrics=rows)

        self._do(act)

    def steps(self, metric: str) -> frozenset[int]:
        """Give the steps at which a metric was recorded; none if the store does not answer."""
        found: set[int] = set()

        def act() -> None:
            found.update(entry.step for entry in self._store.get_metric_history(self.run_id, metric))

        if not self._pending:
            self._do(act)
            if self._pending:
                self._pending.clear()
        return frozenset(found)

    def data_set(self, name: str, *, digest: str, source: str, context: str, profile: Mapping[str, Any]) -> None:
        """Record a data set that the run used, with its fingerprint, as an MLflow dataset input."""
        import json

        described = json.dumps(dict(profile))

        def act() -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            where = json.dumps({"uri": source})
            data = Dataset(name[:500], digest[:36], source_type="local", source=where, profile=described)
            tags = [InputTag("mlflow.data.context", context)]
            self._store.log_inputs(self.run_id, datasets=[DatasetInput(dataset=data, tags=tags)])

        self._do(act)

    def artifacts(self, paths: Sequence[Path], folder: str | None = None) -> None:
        """Copy files to the run's artifacts."""
        taken = [Path(path) for path in paths]

        def act() -> None:
            for path in taken:
                self._store.log_artifact(self.run_id, str(path), artifact_path=folder)

        self._do(act)

    def model(self, path: Path, *, name: str, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the model as an artifact of the run and as a logged model that carries its figures."""
        now, taken = int(time.time() * 1000), {key: float(value) for key, value in metrics.items() if value == value}

        def act() -> None:
            from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

            self._store.log_artifact(self.run_id, str(path), artifact_path="model")
            logged = self._logged(name, step)
            if logged is None:
                logged = self._store.create_logged_model(
                    self._experiment_id,
                    name=name,
                    source_run_id=self.run_id,
                    model_type="pickery",
                    tags={STEP_TAG: str(step)},
                )
            self._store.log_model_artifact(logged.model_id, str(path))
            self._store.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
            outputs = self._store.get_run(self.run_id).outputs
            if logged.model_id not in [one.model_id for one in (outputs.model_outputs if outputs else [])]:
                self._store.log_outputs(self.run_id, models=[LoggedModelOutput(logged.model_id, step)])
            rows = [Metric(key, value, now, step, model_id=logged.model_id) for key, value in taken.items()]
            if not logged.metrics:
                self._store.log_batch(self.run_id, metrics=rows)

        self._do(act)

    def _logged(self, name: str, step: int) -> Any:
        """Give the model that was logged of a step before a kill or a trouble in the middle of it, if any."""
        models = self._store.search_logged_models([self._experiment_id], f"source_run_id = '{self.run_id}'")
        return next((one for one in models if one.name == name and one.tags.get(STEP_TAG) == str(step)), None)

    def finish(self, status: Status) -> bool:
        """End the run with its true status; tell what could not be delivered, and give whether all was."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        self._do(lambda: self._store.set_terminated(self.run_id, status=status), last=True)
        if self._pending:
            self._warn(
                f"the tracking store {self._uri} still does not answer: {len(self._pending)} records of this run did "
                "not reach it; the run's folder holds them all"
            )
        return not self._pending
