import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pickery.simulation.particle import build_particle, deposit, project, random_rotations


@pytest.mark.parametrize("diameter", [90.0, 130.0, 250.0])
def test_diameter_is_as_stated(diameter: float) -> None:
    particle = build_particle(diameter)
    assert np.linalg.norm(particle.residues, axis=1).max() == pytest.approx(diameter / 2, rel=1e-5)
    np.testing.assert_allclose(particle.residues.mean(axis=0), 0, atol=1e-3 * diameter)


def test_projections_fill_the_stated_disc_and_no_more() -> None:
    particle, pixel_size = build_particle(130.0), 2.0
    rotations = random_rotations(np.random.default_rng(0), 50)
    reach = []
    for rotation in rotations:
        points = project(particle.residues, rotation[None], np.zeros((1, 2)), pixel_size)
        reach.append(np.linalg.norm(points, axis=1).max() * pixel_size)
    assert max(reach) <= 65.01
    assert np.median(reach) > 0.85 * 65


def test_particle_has_no_symmetry() -> None:
    # three different moments of inertia leave only half turns about the principal axes (and mirrors) to be symmetries
    residues = build_particle(130.0).residues.astype(np.float64)
    moments, axes = np.linalg.eigh(residues.T @ residues / len(residues))
    assert np.all(np.diff(np.sqrt(moments)) > 0.5)
    aligned = residues @ axes
    neighbours = cKDTree(aligned)
    for signs in itertools.product((1, -1), repeat=3):
        distance, _ = neighbours.query(aligned * signs)
        outside = (distance > 8).mean()
        assert outside == 0 if signs == (1, 1, 1) else outside > 0.05


def test_subunits_are_parts_about_their_own_centres() -> None:
    particle = build_particle(130.0)
    parts = particle.subunits()
    assert sum(len(part) for part in parts) == len(particle.residues)
    for part in parts:
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-3)


def test_rotations_are_rotations() -> None:
    rotations = random_rotations(np.random.default_rng(0), 100)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (100, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)


def test_rotations_are_uniform_over_so3() -> None:
    rotations = random_rotations(np.random.default_rng(0), 20_000).astype(np.float64)
    # under Haar measure any axis goes to a uniform point of the sphere, so each entry is uniform in -1..1 ...
    np.testing.assert_allclose(rotations.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose((rotations**2).mean(axis=0), 1 / 3, atol=0.01)
    # ... and the angle of rotation has density (1 - cos angle) / pi, so the mean of its cosine is -1/2
    cosine = (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
    assert cosine.mean() == pytest.approx(-0.5, abs=0.02)


def test_deposit_keeps_weight_and_centre() -> None:
    points = np.array([[3.25, 7.5], [10.0, 2.0]], np.float32)
    image = deposit(points, (12, 16))
    assert image.sum() == pytest.approx(2)
    assert image[2, 10] == pytest.approx(1)
    assert image[7, 3] == pytest.approx(0.375)
    y, x = np.mgrid[:12, :16]
    assert (image * x).sum() / 2 == pytest.approx(points[:, 0].mean())
    assert (image * y).sum() / 2 == pytest.approx(points[:, 1].mean())


def test_deposit_is_periodic() -> None:
    image = deposit(np.array([[-0.5, 3.5]], np.float32), (4, 8))
    assert image.sum() == pytest.approx(1)
    np.testing.assert_allclose(image[[3, 3, 0, 0], [7, 0, 7, 0]], 0.25)


def test_projection_is_of_the_turned_particle_at_its_centre() -> None:
    residues = np.array([[10.0, 0.0, 0.0], [0.0, 4.0, 2.0]], np.float32)
    quarter_about_z = np.array([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]], np.float32)
    points = project(residues, quarter_about_z, np.array([[100.0, 50.0]]), 2.0)
    np.testing.assert_allclose(points, [[100.0, 55.0], [98.0, 50.0]])
