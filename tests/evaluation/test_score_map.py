import numpy as np
import pytest
import torch
from torch.nn import functional

from pickery.evaluation import score_map as room
from pickery.evaluation.score_map import score_map
from pickery.model import build_model
from pickery.model.dense import DenseScorer


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Images this small cost more to share out between threads than to score."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=[("resnet8", "none"), ("conv31", "average")], ids=str)
def model(request):
    architecture, pooling = request.param
    return build_model(architecture, units=4, pooling=pooling, seed=1).eval()


def image_of(height, width):
    return np.random.default_rng(0).normal(size=(height, width)).astype(np.float32)


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("stride", "tile"), [(1, None), (1, 16), (2, 33), (4, 7), (4, 2), (8, 16)])
def test_any_tile_size_gives_the_map_of_the_whole_image(model, stride, tile):
    image = image_of(37, 50)
    got = score_map(model, image, stride=stride, tile=tile)
    assert got.dtype == torch.float32
    close(got, DenseScorer(model)(torch.tensor(image)[None, None], stride)[0])


def test_every_stride_scores_the_same_regions(model):
    image = image_of(37, 50)
    every = score_map(model, image, tile=20)
    for stride in (2, 4, 8):
        close(score_map(model, image, stride=stride, tile=20), every[::stride, ::stride])


def test_a_region_has_the_score_of_its_patch(model):
    image = image_of(20, 24)
    scores = score_map(model, image, tile=8)
    half = model.receptive_field // 2
    padded = functional.pad(torch.tensor(image), (half,) * 4)
    for y, x in ((0, 0), (19, 23), (10, 3), (7, 8)):
        patch = padded[y : y + model.receptive_field, x : x + model.receptive_field]
        with torch.no_grad():
            close(scores[y, x], model(patch[None, None])[0, 0, 0, 0])


def test_tiles_bound_what_is_scored_at_once(model, monkeypatch):
    seen = []

    class Watched(DenseScorer):
        def valid(self, padded, stride=1):
            seen.append(tuple(padded.shape))
            return super().valid(padded, stride)

    monkeypatch.setattr(room, "DenseScorer", Watched)
    score_map(model, image_of(50, 30), tile=20)
    side = 20 - 1 + model.receptive_field
    assert len(seen) == 6
    assert all(height <= side and width <= side for *_, height, width in seen)


def test_read_only_memory_maps_and_tensors_are_both_images(model, tmp_path):
    image = image_of(20, 30)
    image.tofile(tmp_path / "flat")
    mapped = np.memmap(tmp_path / "flat", dtype=np.float32, mode="r", shape=(20, 30))
    assert torch.equal(score_map(model, mapped), score_map(model, torch.tensor(image)))


def test_a_model_in_training_mode_learns_nothing_from_what_it_scores(model):
    image = image_of(20, 30)
    expected = score_map(model, image)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    assert torch.equal(score_map(model, image), expected)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_scores_have_all_their_bits_in_a_training_of_fewer(model):
    image = image_of(20, 30)
    expected = score_map(model, image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(score_map(model, image), expected)


def test_a_gpu_scores_without_shortening_its_factors():
    before = torch.backends.cudnn.allow_tf32
    with room.full_precision(torch.device("cuda")):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
