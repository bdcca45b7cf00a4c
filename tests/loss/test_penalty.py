import pytest
import torch

from pickery.errors import InputError
from pickery.loss.penalty import autoencoder_weight, l2_penalty, reconstruction_error


def test_l2_is_half_the_weighted_sum_of_squares_and_its_gradient_the_weighted_parameter():
    parameters = [torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor(3.0, requires_grad=True)]
    penalty = l2_penalty(parameters, 0.5)
    assert penalty.item() == pytest.approx(0.25 * 14)
    penalty.backward()
    for parameter in parameters:
        torch.testing.assert_close(parameter.grad, 0.5 * parameter.detach())


def test_reconstruction_error_sums_over_pixels_and_averages_over_patches():
    reconstruction = torch.zeros(2, 1, 3, 3)
    patches = torch.stack([torch.full((1, 3, 3), 2.0), torch.full((1, 3, 3), 1.0)])
    assert reconstruction_error(reconstruction, patches).item() == pytest.approx((9 * 4 + 9) / 2)


def test_reconstruction_error_is_about_the_centre_of_a_larger_patch():
    patches = torch.full((1, 1, 7, 7), 100.0)
    patches[:, :, 2:5, 2:5] = 1.0
    assert reconstruction_error(torch.ones(1, 1, 3, 3), patches).item() == 0


@pytest.mark.parametrize(
    ("picks", "has_decoder", "weight"),
    [(1, True, 10), (250, True, 0.04), (251, True, 0), (100, False, 0), (0, True, 0)],
)
def test_an_automatic_autoencoder_follows_the_number_of_picks(picks, has_decoder, weight):
    assert autoencoder_weight("auto", picks, has_decoder) == pytest.approx(weight)


def test_a_given_autoencoder_weight_is_kept():
    assert autoencoder_weight(0.3, 1000, True) == 0.3
    assert autoencoder_weight(0, 10, False) == 0


@pytest.mark.parametrize(("weight", "has_decoder"), [(0.1, False), (-1, True), ("much", True)])
def test_impossible_autoencoder_weights_are_refused_by_name(weight, has_decoder):
    with pytest.raises(InputError, match=r"loss\.autoencoder"):
        autoencoder_weight(weight, 10, has_decoder)
