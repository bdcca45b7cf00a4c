import json

import pytest
import torch

from pickery.errors import InputError
from pickery.model import build_model
from pickery.model.decoder import Decoder, decoder_for, one_by_one

from .conftest import REFERENCE

TABLE = json.loads((REFERENCE / "architectures.json").read_text())


@pytest.mark.parametrize("depth", [2, 3])
def test_parameters_have_topaz_names_and_shapes(depth):
    expected = TABLE[f"generator depth={depth} units=32 nin=128"]
    decoder = Decoder(128, expected["output_width"], 32)
    assert {name: list(tensor.shape) for name, tensor in decoder.state_dict().items()} == expected["state_dict"]


@pytest.mark.parametrize(("architecture", "width"), [("conv31", 31), ("conv63", 63), ("conv127", 127)])
@pytest.mark.parametrize("pooling", ["none", "average"])
def test_width_follows_the_architecture(architecture, width, pooling):
    model = build_model(architecture, units=2, pooling=pooling)
    decoder = decoder_for(model, 2)
    patches = torch.randn(3, 1, model.receptive_field, model.receptive_field)
    assert decoder(model.features(patches)).shape == (3, 1, width, width)
    assert decoder.width == width


def test_same_seed_same_weights_without_touching_the_global_state():
    model = build_model("conv31", units=2)
    state = torch.get_rng_state()
    first, second = (decoder_for(model, 2, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_resnet_has_no_decoder():
    with pytest.raises(InputError, match=r"loss\.autoencoder=0"):
        decoder_for(build_model("resnet8", units=2))


@pytest.mark.parametrize(("architecture", "pooling"), [("conv31", "none"), ("conv31", "average"), ("conv63", "none")])
@pytest.mark.parametrize("outputs", [1, 3])
def test_an_image_of_several_scores_parts_into_the_patches_that_decide_them(architecture, pooling, outputs):
    model = build_model(architecture, units=2, pooling=pooling).eval()
    side = model.receptive_field + model.stride * (outputs - 1)
    images = torch.randn(2, 1, side, side)
    features = model.features(images)
    alone, patches = one_by_one(features, images, model)
    assert patches.shape == (2 * outputs**2, 1, model.receptive_field, model.receptive_field)
    torch.testing.assert_close(model.features(patches), alone)
    torch.testing.assert_close(model(patches).flatten(), model(images).flatten())
