"""Every name that a model may be given by, and what is said where there is none."""

import pytest
import torch

from pickery.errors import InputError
from pickery.model import build_model
from pickery.picking.model import build_network, open_model
from tests.picking.conftest import write_model


def opened(source, tmp_path, uri=None):
    return open_model(str(source), root=tmp_path / "mlruns", uri=uri)


def test_a_runs_folder_and_its_file_are_one_model(model_file, tmp_path):
    folder, file = opened(model_file.parent, tmp_path), opened(model_file, tmp_path)
    assert folder.digest == file.digest
    assert (file.extraction_radius, file.threshold_best_f1, file.pixel_size_angstrom) == (6, 0.05, 2.0)


def test_other_weights_or_another_architecture_have_another_digest(tmp_path):
    digests = set()
    for seed, architecture in ((0, "conv31"), (1, "conv31"), (0, "resnet8")):
        write_model(tmp_path / "m.ckpt", seed=seed, architecture=architecture)
        digests.add(opened(tmp_path / "m.ckpt", tmp_path).digest)
    assert len(digests) == 3


def test_what_a_file_says_besides_its_weights_does_not_change_the_digest(tmp_path):
    digests = set()
    for radius in (3, 4):
        write_model(tmp_path / "m.ckpt", picking={"extraction_radius": radius})
        digests.add(opened(tmp_path / "m.ckpt", tmp_path).digest)
    assert len(digests) == 1


def test_the_network_scores_as_the_one_that_was_saved(tmp_path):
    saved = write_model(tmp_path / "m.ckpt").eval()
    patches = torch.randn(3, 1, 31, 31)
    with torch.no_grad():
        torch.testing.assert_close(
            build_network(opened(tmp_path / "m.ckpt", tmp_path).weights)(patches), saved(patches)
        )


def test_a_model_of_topaz_says_nothing_of_picking(tmp_path):
    torch.save(build_model("conv31", units=4).state_dict(), tmp_path / "topaz.sav")
    model = opened(tmp_path / "topaz.sav", tmp_path)
    assert (model.preprocess, model.threshold_best_f1, model.extraction_radius) == (None, None, None)


@pytest.mark.parametrize(
    ("lay_out", "source", "says"),
    [
        (lambda folder: None, "nothing.ckpt", "no such file"),
        (lambda folder: None, "nothing/at/all", "no such file"),
        (lambda folder: (folder / "run").mkdir(), "run", "without a model.ckpt"),
        (lambda folder: [(folder / "run").mkdir(), (folder / "run/run.json").touch()], "run", "no model yet"),
        (lambda folder: (folder / "model.ckpt").write_bytes(b"random" * 99), "model.ckpt", "model.ckpt"),
        (lambda folder: (folder / "model.ckpt").write_bytes(b""), "model.ckpt", "model.ckpt"),
        (lambda folder: (folder / "last.ckpt").touch(), "last.ckpt", "model.ckpt beside it"),
        (lambda folder: None, "0123456789abcdef0123456789abcdef", "holds no tracked runs"),
        (lambda folder: None, "models:/mine@best", "holds no tracked runs"),
    ],
)
def test_what_is_no_model_is_said_plainly(tmp_path, lay_out, source, says):
    lay_out(tmp_path)
    where = source if ":" in source or len(source) == 32 else tmp_path / source
    with pytest.raises(InputError, match=says) as error:
        opened(where, tmp_path)
    assert source in str(error.value)
