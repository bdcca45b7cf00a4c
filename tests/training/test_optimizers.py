import itertools

import pytest
import torch

from pickery.training.optimizers import build_optimizer, build_schedule, schedule_factor


def test_adam_is_topaz_adam() -> None:
    optimizer = build_optimizer("adam", [torch.nn.Parameter(torch.zeros(2))], learning_rate=0.0002)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.0002, (0.9, 0.999), 1e-8, 0)


def test_weight_decay_and_momentum_reach_their_optimizers() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    assert (
        build_optimizer("adamw", parameters, learning_rate=1, weight_decay=0.3).param_groups[0]["weight_decay"] == 0.3
    )
    assert build_optimizer("sgd", parameters, learning_rate=1, momentum=0.7).param_groups[0]["momentum"] == 0.7


@pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle"])
def test_schedules_peak_at_the_stated_rate(name: str) -> None:
    factors = [schedule_factor(name, step, 1000) for step in range(1001)]
    assert max(factors) == pytest.approx(1.0)
    assert min(factors) >= 0
    if name != "constant":
        assert factors[-1] == pytest.approx(0.0, abs=1e-9)
        assert max(abs(b - a) for a, b in itertools.pairwise(factors)) < 0.01


def test_a_schedule_moves_the_optimizers_rate() -> None:
    optimizer = build_optimizer("sgd", [torch.nn.Parameter(torch.zeros(2))], learning_rate=0.1)
    schedule = build_schedule("cosine", optimizer, total_steps=10)
    assert schedule is not None
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert build_schedule("constant", optimizer, total_steps=10) is None
