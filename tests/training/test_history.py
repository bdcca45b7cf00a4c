import csv
import math
from pathlib import Path

from pickery.training.history import Epoch, best_epoch, write_metrics


def make_epochs(values: list[float], metric: str = "precision") -> list[Epoch]:
    return [
        Epoch(i + 1, 10 * (i + 1), 1e-3, {"objective": 1.0, metric: 0.5}, {metric: v}) for i, v in enumerate(values)
    ]


def test_the_best_epoch_is_the_first_of_the_highest() -> None:
    best = best_epoch(make_epochs([0.1, 0.4, 0.4, 0.2]), "precision")
    assert best is not None
    assert best.number == 2


def test_loss_and_fpr_are_best_when_lowest() -> None:
    for metric in ("loss", "fpr"):
        best = best_epoch(make_epochs([0.3, 0.1, 0.2], metric), metric)
        assert best is not None
        assert best.number == 2


def test_an_epoch_without_a_figure_is_never_best() -> None:
    best = best_epoch(make_epochs([math.nan, 0.1, math.nan]), "precision")
    assert best is not None
    assert best.number == 2
    assert best_epoch(make_epochs([math.nan]), "precision") is None


def test_without_held_out_micrographs_training_precision_chooses() -> None:
    epochs = [Epoch(i + 1, i, 1e-3, {"precision": value}, None) for i, value in enumerate([0.1, 0.3, 0.2])]
    best = best_epoch(epochs, "precision")
    assert best is not None
    assert best.number == 2


def test_metrics_file_holds_every_digit(tmp_path: Path) -> None:
    epochs = make_epochs([1 / 3, math.nan])
    write_metrics(tmp_path / "metrics.csv", epochs)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert float(rows[0]["test_precision"]) == 1 / 3
    assert math.isnan(float(rows[1]["test_precision"]))
    assert list(rows[0]) == ["epoch", "step", "learning_rate", "train_objective", "train_precision", "test_precision"]


def test_epochs_survive_a_checkpoint() -> None:
    epoch = make_epochs([0.25])[0]
    assert Epoch.from_plain(epoch.plain()) == epoch
