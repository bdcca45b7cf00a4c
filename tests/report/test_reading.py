import math
from typing import Any

import numpy as np

from pickery.report.reading import Remark, read_curves


def summary(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "regions": {"precision": 0.5, "adjusted_precision": 0.52, "auprc": 0.6},
        "picks": {"pick_average_precision": 0.95, "pick_recall": 0.9, "pick_precision": 0.93},
        "objective": {"asked": "ge_binomial", "used": "ge_binomial", "pi": 0.03, "observed": 0.028},
        "provenance": {"expected_particles": 170.0},
    }
    for name, value in changes.items():
        found[name] = found.get(name, {}) | value
    return found


def remarks(
    precision: list[float], *, loss: list[float] | None = None, objective: list[float] | None = None, **changes: Any
) -> dict[str, Remark]:
    count = len(precision)
    rows = [
        {"test_precision": p, "test_loss": a, "train_objective": b}
        for p, a, b in zip(precision, loss or [0.1] * count, objective or [1.0] * count, strict=True)
    ]
    best = int(np.argmax(precision)) + 1
    partial = bool(changes.pop("partial_labels", False))
    found = read_curves(rows, monitor="precision", best=best, summary=summary(**changes), partial_labels=partial)
    return {one.head: one for one in found}


RISING = [0.1 + 0.03 * epoch for epoch in range(12)]
FLAT = [0.2, 0.4, 0.5, *[0.52 + 0.004 * (-1) ** epoch for epoch in range(9)]]


def test_a_rising_curve_is_still_improving() -> None:
    found = remarks(RISING)["Still improving"]
    assert found.kind == "think"
    assert "trainer.epochs=24" in found.text


def test_a_flat_curve_has_settled() -> None:
    found = remarks(FLAT)
    assert found["It has settled"].kind == "good"
    assert "Still improving" not in found


def test_a_held_out_loss_that_rises_while_training_falls_is_overfitting() -> None:
    loss = [0.3, 0.2, 0.15, *[0.15 + 0.02 * step for step in range(1, 10)]]
    falling = [1.0 / (1 + epoch) for epoch in range(12)]
    found = remarks(FLAT, loss=loss, objective=falling)
    assert "Overfitting since epoch 3" in found
    assert "from 0.15 to 0.33" in found["Overfitting since epoch 3"].text
    assert not any(head.startswith("Overfitting") for head in remarks(FLAT, loss=loss))
    assert not any(head.startswith("Overfitting") for head in remarks(FLAT, loss=loss[::-1], objective=falling))


def test_adjusted_precision_above_one_says_how_many_particles_would_do() -> None:
    found = remarks(FLAT, regions={"adjusted_precision": 1.25})["data.expected_particles is too high"]
    assert found.kind == "bad"
    assert "At most 136 agrees" in found.text
    assert "data.expected_particles is too high" not in remarks(FLAT)


def test_unlabelled_particles_bound_precision_only_where_labels_are_partial() -> None:
    head = "Precision is bounded by particles without a label"
    low = {"precision": 0.2, "adjusted_precision": 0.8}
    found = remarks(FLAT, regions=low, partial_labels=True)[head]
    assert "25 % are labelled" in found.text
    assert head not in remarks(FLAT, regions=low)
    assert head not in remarks(FLAT, partial_labels=True)


def test_a_model_that_learned_nothing_is_called_so() -> None:
    assert remarks(FLAT, chance={"auprc": 0.028, "beaten": False})["It has learned next to nothing"].kind == "bad"
    assert "It has learned next to nothing" not in remarks(FLAT, chance={"auprc": 0.028, "beaten": True})


def test_what_replaced_an_objective_is_told() -> None:
    heads = read_curves(
        [{"test_precision": 0.5, "test_loss": 0.1}] * 3,
        monitor="precision",
        best=1,
        summary=summary() | {"objective": {"asked": "ge_kl", "used": "pn", "pi": 0.01, "observed": 0.02}},
        partial_labels=False,
    )
    assert heads[0].head == "ge_kl was replaced by pn"


def test_weak_picks_are_told_by_their_weaker_half() -> None:
    weak = {"pick_average_precision": 0.5, "pick_recall": 0.8, "pick_precision": 0.4}
    assert "Picks: precision is the weaker half" in remarks(FLAT, picks=weak)
    assert "Picks: recall is the weaker half" in remarks(FLAT, picks=weak | {"pick_recall": 0.3})
    none = dict.fromkeys(weak)
    assert remarks(FLAT, picks=none)["No pick hits a particle"].kind == "bad"


def test_nothing_held_out_and_a_single_epoch_are_told() -> None:
    found = read_curves(
        [{"train_precision": 0.4, "test_loss": math.nan}],
        monitor="precision",
        best=1,
        summary=summary(),
        partial_labels=False,
    )
    heads = [one.head for one in found]
    assert heads[:2] == ["Nothing was held out", "One epoch tells no trend"]
