from collections.abc import Callable

import numpy as np
import pytest

from pickery.formats.frame import AS_IT_IS
from pickery.placement.count import estimate
from tests.placement.conftest import Made


@pytest.mark.parametrize("seed", range(3))
def test_particles_are_counted_from_a_part_of_their_labels(discs: Callable[..., Made], seed: int) -> None:
    around, points = discs(seed, micrographs=6, particles=40, depth=1.0)
    generator = np.random.default_rng(seed)
    labelled = {name: xy[generator.permutation(len(xy))[:10]] for name, xy in points.items()}
    found = estimate(labelled, around, AS_IT_IS, diameter_px=40, seed=0)
    assert found is not None
    assert found.picks == 10
    assert found.particles == pytest.approx(40, rel=0.2)
    assert found.lowest <= found.particles <= found.highest
    assert found == estimate(labelled, around, AS_IT_IS, diameter_px=40, seed=0)


def test_noise_makes_the_estimate_wider_not_falsely_sure(discs: Callable[..., Made]) -> None:
    around, points = discs(0, micrographs=6, particles=40, depth=0.15)
    labelled = {name: xy[:10] for name, xy in points.items()}
    found = estimate(labelled, around, AS_IT_IS, diameter_px=40, seed=0)
    assert found is not None
    assert found.lowest <= 40 <= found.highest
    assert found.highest > 1.5 * found.lowest


def test_all_labelled_are_all_there_are(discs: Callable[..., Made]) -> None:
    around, points = discs(1, depth=1.0)
    found = estimate(points, around, AS_IT_IS, diameter_px=40, seed=0)
    assert found is not None
    assert found.particles == pytest.approx(30, rel=0.1)
    assert found.particles >= found.picks


def test_too_few_picks_give_no_estimate(discs: Callable[..., Made]) -> None:
    around, points = discs(1)
    assert estimate({name: xy[:2] for name, xy in points.items()}, around, AS_IT_IS, diameter_px=40, seed=0) is None
    assert estimate({}, around, AS_IT_IS, diameter_px=40, seed=0) is None
