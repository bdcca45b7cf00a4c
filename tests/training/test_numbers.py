"""Numbers that are none: found with their cause, what was good before kept; and a training that learns nothing."""

import json
from pathlib import Path

import pytest
import torch

from pickery.cli import main
from pickery.training.callbacks import LOOK_EVERY
from pickery.training.finish import chance_of
from pickery.training.history import Epoch
from pickery.training.running import FirstBroken
from tests.conftest import TinyData


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_first_figure_that_is_no_number_is_named_with_its_step() -> None:
    broken = FirstBroken()
    assert broken.found() is None
    good, bad, endless = torch.tensor([1.0, 2.0]), torch.tensor([1.0, torch.nan]), torch.tensor(torch.inf)
    broken.watch(3, {"scores": good, "penalty": good})
    assert broken.found() is None
    broken.watch(4, {"scores": good, "penalty": endless})
    broken.watch(5, {"scores": bad, "penalty": bad})
    assert broken.found() == ("penalty", 4)
    broken = FirstBroken()
    broken.watch(0, {"scores": bad, "penalty": bad})
    assert broken.found() == ("scores", 0), "what comes of broken scores is not the cause"


def break_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the L2 term infinite from a step on."""
    calls: list[int] = []

    def penalty(parameters: object, weight: float) -> torch.Tensor:
        calls.append(1)
        return torch.tensor(torch.inf if len(calls) > step else 0.0)

    monkeypatch.setattr("pickery.training.module.l2_penalty", penalty)


def test_a_training_that_diverges_keeps_its_best_epoch(
    tiny: TinyData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_at(monkeypatch, 14)  # in the third epoch of six minibatches
    words = tiny.overrides("trainer.epochs=4", "loss.l2=0.5", "run_dir=run")
    assert main(["train", *words]) == 1
    said = capsys.readouterr().err
    assert (
        "the training diverged at step 15 (epoch 3): the L2 term is too large for a number: lower loss.l2=0.5" in said
    )
    assert len(Path("run/metrics.csv").read_text().splitlines()) == 3
    kept = torch.load("run/model.ckpt", weights_only=True)
    assert f"The best epoch before, {kept['metrics']['epoch']}, is kept as model.ckpt" in said
    assert all(torch.isfinite(value).all() for value in kept["state_dict"].values())
    assert not Path("run/summary.json").exists()
    # it can be picked with; a threshold was never found for it
    pick = ["pick", "picking.model=run", f"data.micrographs={tiny.micrographs}", "picking.out=p.star"]
    assert main([*pick, "picking.threshold=0"]) == 0


def test_it_stops_long_before_a_long_epoch_ends(tiny: TinyData, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(monkeypatch, 3)
    steps: list[int] = []
    monkeypatch.setattr("pickery.training.callbacks.ProgressTeller.on_train_batch_end", lambda *_: steps.append(1))
    assert main(["train", *tiny.overrides("sampler.epoch_size=5000", "loss.l2=0.5")]) == 1
    assert len(steps) < LOOK_EVERY


def test_chance_is_beaten_by_twice_its_area() -> None:
    def epoch(number: int, area: float) -> Epoch:
        return Epoch(number, number, 0.1, {}, {"auprc": area})

    assert chance_of([epoch(1, 0.03)], {"auprc": 0.03}, 0.02) == {"auprc": 0.02, "beaten": False}
    assert chance_of([epoch(1, 0.05)], {"auprc": 0.03}, 0.02)["beaten"], "an epoch that was good counts"
    assert chance_of([], {"auprc": float("nan")}, 0.02)["beaten"] is False


def test_a_training_that_never_beats_chance_says_so(
    tiny: TinyData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # steps too small to change anything: the network stays as it began
    words = tiny.overrides("trainer.epochs=1", "optimizer.learning_rate=1e-12", "data.check_picks=false", "run_dir=run")
    assert main(["train", *words]) == 0
    assert "warning: it has learned next to nothing: its area under the precision-recall curve is 0." in (
        capsys.readouterr().out
    )
    found = json.loads(Path("run/summary.json").read_text())
    assert found["chance"]["beaten"] is False
    assert found["regions"]["auprc"] < 2 * found["chance"]["auprc"]
    assert main(["report", "run"]) == 0
    assert "It has learned next to nothing" in Path("run/report.html").read_text()
