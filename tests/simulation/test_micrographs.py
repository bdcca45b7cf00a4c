import dataclasses

import numpy as np
import pytest
import scipy.ndimage

from pickery.errors import InputError
from pickery.simulation import SIMULATION_VERSION, SimulatedMicrograph, SimulationSettings, simulate_micrograph
from pickery.simulation.calibration import residue_phase
from pickery.simulation.layout import CLOSEST
from pickery.simulation.micrographs import LARGEST_JITTER, PICK_JITTER, micrograph_optics
from pickery.simulation.optics import image_intensity
from pickery.simulation.specimen import build_specimen

SMALL = SimulationSettings(micrographs=4, rows=448, columns=512, particles_per_micrograph=12.0)
CLEAN = dataclasses.replace(SMALL, carbon_probability=0.0, contamination_probability=0.0, debris=0.0)


@pytest.fixture(scope="module")
def simulated() -> list[SimulatedMicrograph]:
    return [simulate_micrograph(SMALL, index) for index in range(SMALL.micrographs)]


def disc(settings: SimulationSettings, points: np.ndarray, radius_px: float) -> np.ndarray:
    y, x = np.mgrid[: settings.rows, : settings.columns]
    inside = np.zeros(y.shape, bool)
    for at_x, at_y in points:
        inside |= (x - at_x) ** 2 + (y - at_y) ** 2 <= radius_px**2
    return inside


def noise_free(settings: SimulationSettings, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Image of the particles alone, and their centres."""
    matter = build_specimen(settings, index, only_particles=True)
    image = image_intensity(matter.phase, micrograph_optics(settings, index), settings.pixel_size_angstrom)
    margin = matter.margin
    return image[margin : margin + settings.rows, margin : margin + settings.columns], matter.layout.particles


def test_same_seed_same_pixels(simulated: list[SimulatedMicrograph]) -> None:
    first, second = simulated[1], simulate_micrograph(SMALL, 1)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.picks, second.picks)


def test_another_seed_and_another_index_give_another_micrograph(simulated: list[SimulatedMicrograph]) -> None:
    image = simulated[1].image
    assert not np.array_equal(image, simulated[2].image)
    assert not np.array_equal(image, simulate_micrograph(dataclasses.replace(SMALL, seed=1), 1).image)


def test_micrograph_is_the_same_whatever_their_number(simulated: list[SimulatedMicrograph]) -> None:
    more = dataclasses.replace(SMALL, micrographs=400)
    np.testing.assert_array_equal(simulated[3].image, simulate_micrograph(more, 3).image)


def test_dose_and_picked_fraction_leave_every_particle_in_place(simulated: list[SimulatedMicrograph]) -> None:
    other = dataclasses.replace(SMALL, dose=10.0, picked_fraction=1.0, signal_to_noise=0.05)
    np.testing.assert_array_equal(simulated[0].points, simulate_micrograph(other, 0).points)


def test_image_holds_whole_numbers_of_electrons_at_the_stated_dose() -> None:
    image = simulate_micrograph(CLEAN, 0).image
    assert image.shape == (448, 512)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, np.rint(image))
    assert image.min() >= 0
    assert image.mean() == pytest.approx(CLEAN.dose * CLEAN.pixel_size_angstrom**2, rel=0.15)


def test_shot_noise_is_poisson() -> None:
    # between the images of one scene at two draws of electrons only shot noise differs
    faint = dataclasses.replace(CLEAN, particles_per_micrograph=1.0)
    image = simulate_micrograph(faint, 0).image
    matter = build_specimen(faint, 0)
    expected = image_intensity(matter.phase, micrograph_optics(faint, 0), faint.pixel_size_angstrom)
    expected = (expected * matter.transmission)[matter.margin :, matter.margin :][:448, :512] * faint.electrons_per_px
    residual = (image - expected) / np.sqrt(expected)
    assert residual.mean() == pytest.approx(0, abs=0.01)
    assert residual.var() == pytest.approx(1, abs=0.02)
    assert (residual[:, 1:] * residual[:, :-1]).mean() == pytest.approx(0, abs=0.01)


def test_particles_lie_wholly_inside_and_hardly_overlap(simulated: list[SimulatedMicrograph]) -> None:
    for micrograph in simulated:
        points = micrograph.points
        radius = SMALL.particle_diameter_px / 2
        assert len(points) > 0
        assert points.min() >= radius
        assert points[:, 0].max() <= SMALL.columns - 1 - radius
        assert points[:, 1].max() <= SMALL.rows - 1 - radius
        distance = np.linalg.norm(points[:, None] - points, axis=2)
        np.fill_diagonal(distance, np.inf)
        assert distance.min() >= CLOSEST * SMALL.particle_diameter_px


def test_truth_is_complete() -> None:
    # with every disc of the truth and of the cut-off particles taken out, no signal is left
    image, points = noise_free(CLEAN, 1)
    layout = build_specimen(CLEAN, 1, only_particles=True).layout
    radius = 0.75 * CLEAN.particle_diameter_px  # the lens spreads a little beyond the particle
    everything = disc(CLEAN, np.concatenate([points, layout.cut_off]), radius)
    assert image[everything].var() > 50 * image[~everything].var()
    # and the cut-off ones have their centres outside
    assert len(layout.cut_off) > 0
    assert np.all(disc(CLEAN, layout.cut_off, 0).sum() == 0)


def test_every_true_particle_shows() -> None:
    image, points = noise_free(CLEAN, 1)
    background = image[~disc(CLEAN, points, CLEAN.particle_diameter_px)].var()
    for point in points:
        assert image[disc(CLEAN, point[None], CLEAN.particle_diameter_px / 2)].var() > 50 * background


def test_particle_in_the_phase_has_the_stated_radius() -> None:
    alone = dataclasses.replace(CLEAN, particles_per_micrograph=6.0, defocus_lowest_micrometre=1.0)
    matter = build_specimen(alone, 0, only_particles=True)
    points = np.concatenate([matter.layout.particles, matter.layout.cut_off]) + matter.margin
    y, x = np.mgrid[: matter.phase.shape[0], : matter.phase.shape[1]]
    distance = np.min([np.hypot(x - at_x, y - at_y) for at_x, at_y in points], axis=0) * alone.pixel_size_angstrom
    phase = np.abs(matter.phase)
    # 3 Å for a residue's own width and its four pixels
    assert phase[distance > 65 + 8].max() < 0.01 * phase.max()
    assert phase[(distance > 45) & (distance < 60)].max() > 0.1 * phase.max()


def test_particles_are_darker_than_their_surroundings() -> None:
    for index in range(4):
        image, points = noise_free(CLEAN, index)
        near = disc(CLEAN, points, 0.35 * CLEAN.particle_diameter_px)
        far = ~disc(CLEAN, points, CLEAN.particle_diameter_px)
        assert image[near].mean() < image[far].mean()


def test_signal_to_noise_is_as_stated() -> None:
    settings = dataclasses.replace(CLEAN, particles_per_micrograph=10.0, signal_to_noise=0.08)
    ratios = []
    for index in range(1, 5):
        signal, points = noise_free(settings, index)
        signals = [signal[disc(settings, point[None], settings.particle_diameter_px / 2)].var() for point in points]
        empty = dataclasses.replace(settings, particles_per_micrograph=1.0)
        micrograph = simulate_micrograph(empty, index)
        image, occupied = micrograph.image, disc(empty, micrograph.points, settings.particle_diameter_px)
        # the variance within small tiles leaves out the slow gradient of the ice
        corners = [(top, left) for top in range(0, 448, 32) for left in range(0, 512, 32)]
        tiles = [image[top : top + 32, left : left + 32] for top, left in corners if not occupied[top, left]]
        noise = np.median([tile.var() / tile.mean() ** 2 for tile in tiles])
        ratios.append(np.mean(signals) / noise)
    assert np.mean(ratios) == pytest.approx(0.08, rel=0.2)


def test_protein_scatters_as_protein_does() -> None:
    # 134 Å³ for a residue, 1 to 3 volt above ice, 6.5e-4 radian for a volt and an Å
    volt = residue_phase(SimulationSettings()) / (134 * 6.526e-4)
    assert 1 < volt < 3


def test_no_particle_lies_on_carbon_or_crystals() -> None:
    dirty = dataclasses.replace(SMALL, rows=512, carbon_probability=1.0, contamination_probability=1.0, debris=0.0)
    for index in range(3):
        micrograph = simulate_micrograph(dirty, index)
        assert micrograph.carbon
        matter = build_specimen(dirty, index)
        assert matter.absorption is not None
        radius = dirty.particle_diameter_px / 2
        in_discs = disc(dirty, micrograph.points, radius - 1)
        absorption = matter.absorption[matter.margin :, matter.margin :][: dirty.rows, : dirty.columns]
        assert (absorption > 0).mean() > 0.05
        assert absorption[in_discs].max() < 0.1 * absorption.max()


def test_carbon_is_darker_than_ice_and_carries_thon_rings() -> None:
    dirty = dataclasses.replace(SMALL, rows=512, carbon_probability=1.0, contamination_probability=0.0)
    micrograph, matter = simulate_micrograph(dirty, 0), build_specimen(dirty, 0)
    assert matter.absorption is not None
    absorption = matter.absorption[matter.margin :, matter.margin :][: dirty.rows, : dirty.columns]
    carbon = absorption > 0.9 * absorption.max()
    assert micrograph.image[carbon].mean() < 0.97 * micrograph.image[absorption == 0].mean()
    # the film's disorder is stronger than that of ice at the frequencies that show particles
    image = micrograph.image - scipy.ndimage.uniform_filter(micrograph.image, 25)
    smooth = scipy.ndimage.gaussian_filter(image, 3)
    assert smooth[carbon].var() > 1.2 * np.median(smooth[absorption == 0] ** 2)


def test_shares_of_carbon_contamination_and_particles_are_as_stated() -> None:
    settings = dataclasses.replace(SMALL, debris=0.0, rows=256, columns=256, particles_per_micrograph=3.0)
    layouts = [build_specimen(settings, index, only_particles=True) for index in range(40)]
    assert np.mean([matter.carbon for matter in layouts]) == pytest.approx(0.25, abs=0.05)
    assert np.mean([len(matter.layout.crystals) > 0 for matter in layouts]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([len(matter.layout.particles) for matter in layouts]) == pytest.approx(3, rel=0.1)


def test_defocus_is_spread_over_its_range() -> None:
    defocus = [
        (o.defocus_u_angstrom + o.defocus_v_angstrom) / 2 for o in (micrograph_optics(SMALL, i) for i in range(40))
    ]
    assert 0.8e4 <= min(defocus) < 0.95e4
    assert 2.35e4 < max(defocus) <= 2.5e4
    assert np.mean(defocus) == pytest.approx(1.65e4, rel=0.05)


def test_picks_are_some_of_the_truth_slightly_displaced(simulated: list[SimulatedMicrograph]) -> None:
    for micrograph in simulated:
        assert len(micrograph.picks) == max(1, round(0.3 * len(micrograph.points)))
        assert len(set(micrograph.picked.tolist())) == len(micrograph.picks)
        moved = np.abs(micrograph.picks - micrograph.points[micrograph.picked])
        assert moved.max() <= LARGEST_JITTER * PICK_JITTER * SMALL.particle_diameter_px
        assert moved.max() > 0


def test_expected_particles_is_the_mean_true_count() -> None:
    assert SMALL.expected_particles == 12.0
    counts = [len(build_specimen(CLEAN, index, only_particles=True).layout.particles) for index in range(12)]
    assert np.mean(counts) == pytest.approx(CLEAN.expected_particles, rel=0.1)
    assert len(set(counts)) > 4


def test_particles_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"simulation.particles_per_micrograph=500 is more than fit"):
        dataclasses.replace(SMALL, particles_per_micrograph=500.0)
    with pytest.raises(InputError, match=r"simulation.particle_diameter_angstrom=600 is 300 pixels wide"):
        dataclasses.replace(SMALL, particle_diameter_angstrom=600.0)


@pytest.mark.parametrize(("rows", "columns"), [(301, 500), (333, 217)])
def test_any_size_is_simulated(rows: int, columns: int) -> None:
    settings = dataclasses.replace(SMALL, rows=rows, columns=columns, particles_per_micrograph=3.0)
    assert simulate_micrograph(settings, 0).image.shape == (rows, columns)


def test_version_is_raised_when_the_same_settings_give_another_micrograph() -> None:
    micrograph = simulate_micrograph(SimulationSettings(), 0)
    assert SIMULATION_VERSION == 1, "write down the new numbers below"
    np.testing.assert_allclose(micrograph.points[0], [628.90, 441.85], atol=0.01)
    assert micrograph.image.mean() == pytest.approx(147.985, abs=0.02)
    assert micrograph.image.std() == pytest.approx(14.75, abs=0.02)
