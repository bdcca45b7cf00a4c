import pytest

from pickery.errors import InputError
from pickery.loss.prior import choose_objective, expected_pi


@pytest.mark.parametrize(
    ("particles", "micrographs", "disc_size", "regions", "pi"),
    [(400, 30, 29, 26_669_790, 0.0130485), (600, 7, 49, 2_764_314, 0.07444885)],
)
def test_pi_is_the_area_of_the_expected_discs(particles, micrographs, disc_size, regions, pi):
    assert expected_pi(particles, micrographs, disc_size, regions) == pytest.approx(pi, abs=5e-8)


@pytest.mark.parametrize("particles", [345, 1000])
def test_more_particles_than_fit_are_refused_by_the_settings_names(particles):
    with pytest.raises(InputError) as error:
        expected_pi(particles, 2, 29, 20_000)
    assert f"data.expected_particles={particles}" in str(error.value)
    assert "data.radius" in str(error.value)


@pytest.mark.parametrize("particles", [0, -1, float("nan")])
def test_no_expected_particles_are_refused(particles):
    with pytest.raises(InputError, match="must be above 0"):
        expected_pi(particles, 2, 29, 20_000)


def choose(asked, pi, observed):
    return choose_objective(asked, pi=pi, observed=observed, expected_particles=100, mean_picks=120.5)


@pytest.mark.parametrize("asked", ["ge_kl", "ge_binomial"])
def test_ge_is_told_what_is_left_among_the_unlabeled(asked):
    choice = choose(asked, 0.05, 0.02)
    assert (choice.asked, choice.used, choice.warning) == (asked, asked, None)
    assert choice.objective_pi == pytest.approx(0.03)


@pytest.mark.parametrize("asked", ["pn", "pu"])
def test_pn_and_pu_are_told_pi(asked):
    choice = choose(asked, 0.05, 0.02)
    assert (choice.used, choice.objective_pi, choice.warning) == (asked, 0.05, None)


@pytest.mark.parametrize("asked", ["ge_kl", "ge_binomial"])
@pytest.mark.parametrize("pi", [0.02, 0.01])
def test_ge_with_nothing_left_becomes_pn_and_says_the_numbers(asked, pi):
    choice = choose(asked, pi, 0.02)
    assert (choice.asked, choice.used, choice.objective_pi) == (asked, "pn", 0.02)
    assert (choice.pi, choice.observed) == (pi, 0.02)
    for words in ("data.expected_particles=100", f"pi = {pi:g}", "0.02", "120.5 picks", asked, "pn is used"):
        assert words in choice.warning


@pytest.mark.parametrize("asked", ["pn", "pu"])
def test_pn_and_pu_keep_a_low_pi_and_warn(asked):
    choice = choose(asked, 0.01, 0.02)
    assert (choice.asked, choice.used, choice.objective_pi) == (asked, asked, 0.01)
    assert "data.expected_particles=100" in choice.warning
    assert "keeps this pi" in choice.warning
