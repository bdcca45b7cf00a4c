"""What is said of a cross-validation at its beginning and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pickery.cross_validation.bench import Bench
from pickery.cross_validation.conclude import summary_of
from pickery.cross_validation.results.table import Table
from pickery.decimals import word
from pickery.training.listener import Listener
from pickery.training.record import RECORD
from pickery.training.words import count, figures


def introduce(bench: Bench, table: Table, listener: Listener) -> None:
    """Say what is about to be compared, and where."""
    done, grid = table.progress.done, bench.grid
    begun = any(bench.path.glob(f"*/{RECORD}"))
    listener.head(f"{'going on' if begun else 'cross-validating'} in {bench.path}")
    for axis in grid.axes:
        listener.say(f"{axis.parameter}: {', '.join(word(value) for value in axis.values)}")
    folds = "the ordinary split" if grid.folds == 1 else count(grid.folds, "fold")
    trainings = len(grid.values) * grid.folds
    already = f" ({done} of them done)" if done else ""
    listener.say(
        f"{count(len(grid.values), 'value')} on {folds}: {count(trainings, 'training')}{already}, then the final one; "
        f"ranked by held-out {bench.monitor}"
    )


def say_table(table: Table, listener: Listener) -> None:
    """Say all results, and what to think of them."""
    for line in table.lines():
        listener.say(line)
    for line in table.verdict():
        listener.say(line)


def say_end(bench: Bench, table: Table, summary: Mapping[str, Any], listener: Listener) -> None:
    """Say the winner, and the final model's figures."""
    say_table(table, listener)
    if "halving" in summary:
        trained, without = summary["halving"]["epochs_trained"], summary["halving"]["epochs_without"]
        listener.say(
            f"Stopping the lower half early took {trained} epochs instead of {without}: "
            f"{1 - trained / without:.0%} saved."
        )
    failed = table.progress.failed
    if failed:
        listener.warn(
            f"{count(failed, 'training')} failed, and {'its value was' if failed == 1 else 'their values were'} left "
            "out; cross_validation.retry=true tries again"
        )
    assert table.winner is not None
    of_final = summary_of(bench.final_folder(table.winner.value))
    listener.head(f"final model, {table.winner.label}: best epoch {of_final['best_epoch']} of {of_final['epochs']}")
    for line in figures(of_final):
        listener.say(line)
    listener.say(f"  folder     {bench.path}")
    listener.say("             model.ckpt, plots/, cross_validation.csv, summary.json, log.txt, a folder a training")
    if summary["tracked_run"] is not None:
        listener.say(f"  tracked    as {summary['tracked_run']} in experiment {bench.config.tracking.experiment}")
