import pytest
import torch
from torch.nn.functional import pad, unfold

from pickery.model import build_model
from pickery.model.dense import DenseScorer

from .conftest import COMBINATIONS, golden, scramble


def patch_scores(model, images):
    """Score every region by cutting its patch out."""
    side = model.receptive_field
    edge = side // 2
    b, _, h, w = images.shape
    patches = unfold(pad(images, (edge,) * 4), side).transpose(1, 2).reshape(-1, 1, side, side)
    with torch.no_grad():
        return torch.cat([model(part) for part in patches.split(256)]).reshape(b, h, w)


def random_images(b, h, w, seed=0):
    return torch.randn(b, 1, h, w, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("architecture", "pooling", "batch_norm"), COMBINATIONS)
def test_dense_score_equals_patch_score_at_every_stride_and_border(architecture, pooling, batch_norm):
    scaling = 2 if architecture.startswith("resnet") else 1  # the widest of the others would take long
    model = build_model(architecture, units=3, pooling=pooling, batch_norm=batch_norm, unit_scaling=scaling)
    model = scramble(model).eval()
    images = random_images(1, 19, 18)  # smaller than any receptive field: every region is a border region
    expected = patch_scores(model, images)
    scorer = DenseScorer(model)
    for stride in (1, 2, 4, 8, 16):
        scores = scorer(images, stride)
        torch.testing.assert_close(scores, expected[:, ::stride, ::stride], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["resnet8", "conv31"])
def test_dense_score_equals_patch_score_inside_and_in_batches(architecture):
    model = scramble(build_model(architecture, units=2)).eval()
    images = random_images(2, 18, 33)
    torch.testing.assert_close(DenseScorer(model)(images), patch_scores(model, images), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["resnet8", "resnet8_maxpool", "resnet16", "conv31", "conv63"])
def test_dense_score_equals_topaz(name):
    model, arrays = golden(name)
    torch.testing.assert_close(DenseScorer(model)(arrays["input"])[:, None], arrays["dense_score"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("units", [1, 2])
def test_a_network_of_one_channel_is_scored_like_any(units):
    model = scramble(build_model("resnet16", units=units, unit_scaling=1)).eval()
    images = random_images(1, 12, 9)
    expected = patch_scores(model, images)
    for stride in (1, 2):
        scores = DenseScorer(model)(images, stride)
        torch.testing.assert_close(scores, expected[:, ::stride, ::stride], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["resnet8", "resnet16", "conv63"])
@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
def test_tiles_with_their_surroundings_score_as_the_whole(architecture, stride):
    model = scramble(build_model(architecture, units=2)).eval()
    images = random_images(1, 45, 52)
    scorer = DenseScorer(model)
    edge = model.receptive_field // 2
    padded = pad(images, (edge,) * 4)
    whole = scorer(images, stride)
    torch.testing.assert_close(scorer.valid(padded, stride), whole, atol=2e-5, rtol=1e-5)
    side = model.receptive_field
    tile = padded[:, :, 16 : 16 + side + 9, 32 : 32 + side + 13]
    expected = whole[:, 16 // stride : (25 // stride) + 1, 32 // stride : (45 // stride) + 1]
    torch.testing.assert_close(scorer.valid(tile, stride), expected, atol=2e-5, rtol=1e-5)


def test_scores_are_those_of_evaluation_in_any_mode_and_change_nothing():
    model = scramble(build_model("resnet8", units=2, dropout=0.5))
    images = random_images(1, 20, 20)
    expected = DenseScorer(model.eval())(images)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scores = DenseScorer(model.train())(images)
    assert model.training
    assert torch.equal(scores, expected)
    assert not scores.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_scorer_follows_the_weights_of_its_model():
    model = build_model("conv31", units=2)
    scorer = DenseScorer(model)
    images = random_images(1, 20, 20)
    before = scorer(images)
    with torch.no_grad():
        model.classifier.bias += 1
    torch.testing.assert_close(scorer(images), before + 1)
    assert {id(p) for p in scorer.parameters()} == {id(p) for p in model.parameters()}


def test_images_are_left_as_they_were():
    model = build_model("resnet8", units=2)
    images = random_images(1, 20, 20)
    before = images.clone()
    DenseScorer(model)(images, 4)
    assert torch.equal(images, before)


@pytest.mark.parametrize("architecture", ["resnet8", "conv31"])
def test_scores_survive_autocast(architecture):
    model = scramble(build_model(architecture, units=4)).eval()
    images = random_images(1, 24, 24)
    expected = DenseScorer(model)(images)
    with torch.autocast("cpu", torch.bfloat16):
        scores = DenseScorer(model)(images)
    torch.testing.assert_close(scores.float(), expected, atol=0.05, rtol=0.05)
