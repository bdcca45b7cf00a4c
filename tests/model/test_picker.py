import json

import pytest
import torch

from pickery.errors import InputError
from pickery.model import ARCHITECTURES, build_model, receptive_field, set_expected_fraction

from .conftest import COMBINATIONS, POOLINGS, REFERENCE, golden, scramble

TABLE = json.loads((REFERENCE / "architectures.json").read_text())
UNPADDED_FIELDS = {"conv31": 37, "conv63": 77, "conv127": 157}  # with average pooling


@pytest.mark.parametrize("key", [key for key in TABLE if not key.startswith("generator")])
def test_parameters_have_topaz_names_and_shapes(key):
    architecture, batch_norm, pooling = key.split()
    pooling = POOLINGS[pooling.removeprefix("pooling=").replace("None", "") or None]
    model = build_model(architecture, batch_norm=batch_norm == "bn=True", pooling=pooling)
    expected = TABLE[key]
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == expected["state_dict"]
    assert list(model.state_dict()) == list(expected["state_dict"])
    assert sum(parameter.numel() for parameter in model.parameters()) == expected["parameters"]
    assert model.latent_dim == expected["latent_dim"]
    field = UNPADDED_FIELDS[architecture] if pooling == "average" else expected["receptive_field"]
    assert model.receptive_field == receptive_field(architecture, pooling) == field


@pytest.mark.parametrize("name", ["resnet8", "resnet8_maxpool", "resnet16", "conv31", "conv63"])
def test_image_scores_equal_topaz_at_the_networks_stride(name):
    model, arrays = golden(name)
    edge = model.receptive_field // 2
    with torch.no_grad():
        scores = model(torch.nn.functional.pad(arrays["input"], (edge, edge, edge, edge)))
    expected = arrays["dense_score"][:, :, :: model.stride, :: model.stride]
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["resnet8", "resnet8_maxpool", "conv31", "conv63"])
def test_patch_score_equals_topaz(name):
    model, arrays = golden(name)
    side = model.receptive_field
    with torch.no_grad():
        score = model(arrays["input"][:, :, :side, :side])
    torch.testing.assert_close(score, arrays["patch_score"], atol=1e-5, rtol=0)


def test_topaz_weights_load_with_average_pooling():
    model, _ = golden("conv31_avgpool")
    assert model.settings["pooling"] == "average"


@pytest.mark.parametrize(("architecture", "pooling", "batch_norm"), COMBINATIONS)
def test_a_patch_of_the_receptive_field_has_one_score_and_a_smaller_one_has_none(architecture, pooling, batch_norm):
    model = build_model(architecture, units=2, pooling=pooling, batch_norm=batch_norm).eval()
    side = model.receptive_field
    with torch.no_grad():
        assert model(torch.zeros(3, 1, side, side)).shape == (3, 1, 1, 1)
        assert model(torch.zeros(1, 1, side + model.stride, side + 3 * model.stride - 1)).shape == (1, 1, 2, 3)
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 1, side - 1, side))


@pytest.mark.parametrize(("architecture", "pooling", "batch_norm"), COMBINATIONS)
def test_training_reaches_every_parameter_and_leaves_the_patches_alone(architecture, pooling, batch_norm):
    model = build_model(architecture, units=2, pooling=pooling, batch_norm=batch_norm).train()
    side = model.receptive_field
    patches = torch.randn(4, 1, side, side, generator=torch.Generator().manual_seed(0))
    before = patches.clone()
    model(patches).square().sum().backward()
    assert torch.equal(patches, before)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_do_not_depend_on_memory_format(architecture):
    model = scramble(build_model(architecture, units=4)).eval()
    image = torch.randn(2, 1, model.receptive_field + 9, model.receptive_field + 5)
    with torch.no_grad():
        expected = model(image)
        model = model.to(memory_format=torch.channels_last)
        torch.testing.assert_close(model(image.to(memory_format=torch.channels_last)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_a_network_compiles_into_one_graph():
    model = build_model("resnet8", units=2, dropout=0.5, pooling="max").eval()
    patches = torch.randn(2, 1, model.receptive_field, model.receptive_field)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(patches), model(patches))


def test_same_seed_same_weights_without_touching_the_global_state():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, second, other = (build_model("resnet8", units=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


def test_without_a_seed_weights_come_from_the_global_state():
    torch.manual_seed(5)
    first = build_model("conv31", units=4, seed=None)
    torch.manual_seed(5)
    second = build_model("conv31", units=4, seed=None)
    third = build_model("conv31", units=4, seed=None)
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    assert not torch.equal(second.classifier.weight, third.classifier.weight)


@pytest.mark.parametrize("architecture", ["resnet8", "resnet16"])
@pytest.mark.parametrize("pooling", ["none", "max"])
def test_dropout_acts_in_training_alone_is_seeded_by_torch_and_renames_nothing(architecture, pooling):
    plain = scramble(build_model(architecture, units=4, pooling=pooling))
    model = build_model(architecture, units=4, pooling=pooling, dropout=0.5)
    model.load_state_dict(plain.state_dict())
    patches = torch.randn(4, 1, model.receptive_field, model.receptive_field)
    assert sum(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in model.modules()) == 3
    with torch.no_grad():
        assert torch.equal(model.eval()(patches), plain.eval()(patches))
        model.train()
        torch.manual_seed(1)
        first = model(patches)
        torch.manual_seed(1)
        again = model(patches)
        assert torch.equal(first, again)
        assert not torch.equal(first, model(patches))


def test_unit_scaling_sets_the_factor_of_every_widening():
    assert build_model("resnet8", units=4, unit_scaling=3).latent_dim == 36
    assert build_model("conv63", units=4, unit_scaling=3).latent_dim == 108
    assert build_model("conv63", units=4, unit_scaling=1).latent_dim == 4


@pytest.mark.parametrize("architecture", ["resnet8", "conv31"])
def test_settings_build_the_same_network(architecture):
    model = build_model(architecture, units=3, batch_norm=False, unit_scaling=1)
    again = build_model(**model.settings)
    assert again.settings == model.settings
    assert [p.shape for p in again.parameters()] == [p.shape for p in model.parameters()]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"architecture": "resnet9"}, ["model.architecture=resnet9", "resnet8"]),
        ({"architecture": "resnet8", "pooling": "average"}, ["model.pooling", "model.architecture=resnet8", "max"]),
        ({"architecture": "conv31", "pooling": "max"}, ["model.pooling", "model.architecture=conv31", "average"]),
        ({"architecture": "conv31", "dropout": 0.5}, ["model.dropout", "model.architecture=conv31", "resnet"]),
        ({"architecture": "resnet8", "dropout": 1.0}, ["model.dropout=1.0"]),
        ({"architecture": "resnet8", "pooling": "mean"}, ["model.pooling=mean", "average"]),
        ({"architecture": "resnet8", "units": 0}, ["model.units=0"]),
        ({"architecture": "resnet8", "unit_scaling": 0}, ["model.unit_scaling=0"]),
    ],
)
def test_impossible_settings_are_refused_by_name(settings, words):
    with pytest.raises(InputError) as error:
        build_model(**settings)
    assert all(word in str(error.value) for word in words)


def test_a_network_begins_by_expecting_the_stated_fraction():
    model = build_model("resnet8", units=4)
    set_expected_fraction(model, 0.05)
    silent = torch.zeros(1, model.latent_dim, 1, 1)
    assert torch.sigmoid(model.classifier(silent)).item() == pytest.approx(0.05, rel=1e-5)
