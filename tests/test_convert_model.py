"""`pickery convert` of models: to Topaz, from Topaz, and what is said of what the other cannot hold."""

import os
import sys
from pathlib import Path

import pytest
import torch

from pickery.commands.convert_model import is_model, run
from pickery.config.load import load
from pickery.errors import InputError, PickeryWarning
from pickery.model import build_model
from pickery.model.weights import load_model, load_weights, save_model
from pickery.terminal import Terminal

TOPAZ = os.environ.get("PICKERY_TOPAZ_PYTHON", "")
needs_topaz = pytest.mark.skipif(not TOPAZ, reason="PICKERY_TOPAZ_PYTHON names no python with Topaz 0.2.5")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def saved(path="model.ckpt", *, architecture="resnet8", downsample=4.0, **settings):
    model = build_model(architecture, units=2, **settings)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_model(
        Path(path),
        model,
        preprocess={"downsample": downsample, "method": "gmm", "pixel_sampling": 1, "iterations": 100},
        picking={"extraction_radius": 12, "threshold_best_f1": -1.0979533195495605},
        metrics={},
        provenance={},
    )
    return model


def converted(source, out, *more):
    words = [f"convert.source={source}", f"convert.out={out}", *more]
    with Terminal() as terminal:
        run(load("convert", words), terminal)


def test_models_are_told_from_picks(tmp_path):
    saved("run/model.ckpt")
    saved("model.ckpt")
    Path("renamed").write_bytes(Path("model.ckpt").read_bytes())
    Path("begun").mkdir()
    Path("begun/run.json").write_text("{}", encoding="utf-8")
    for source in ("run", "model.ckpt", "renamed", "begun", "gone.sav", "resnet16_u64", "resnet8", "conv127_u32"):
        assert is_model(source), source
    Path("picks.txt").write_text("image_name\tx_coord\ty_coord\n", encoding="utf-8")
    Path("boxes").mkdir()
    for source in ("picks.txt", "boxes", "picks.star", "*.box", ("a.box", "b.box"), "resnet"):
        assert not is_model(source), source


def test_there_and_back_the_weights_are_the_same(capsys):
    model = saved()
    converted("model.ckpt", "topaz/model.sav")
    converted("topaz/model.sav", "again.ckpt", "convert.downsample=4")
    again, content = load_model(Path("again.ckpt"))
    assert again.settings == model.settings
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert content["preprocess"] == {"downsample": 4.0, "method": "gmm", "pixel_sampling": 1, "iterations": 100}
    assert content["picking"] == {}
    assert content["provenance"]["converted_from"] == "topaz/model.sav"
    assert sorted(path.name for path in Path().iterdir()) == ["again.ckpt", "model.ckpt", "topaz"]
    assert os.listdir("topaz") == ["model.sav"]


def test_a_runs_folder_means_its_model():
    saved("run/model.ckpt")
    converted("run", "model.sav")
    assert load_weights("model.sav").architecture["units"] == 2


def test_a_detector_of_topaz_is_converted_by_its_name(monkeypatch):
    Path("detector").mkdir()
    model = build_model("resnet8", units=2, batch_norm=False)
    torch.save(model.state_dict(), "detector/resnet8_u2.sav")
    monkeypatch.setattr("pickery.model.weights._pretrained_folder", lambda: Path("detector"))
    converted("resnet8_u2", "model.ckpt")
    assert load_model(Path("model.ckpt"))[1]["preprocess"] == {}


def test_what_topaz_cannot_hold_is_said_as_its_command_line(capsys):
    saved()
    converted("model.ckpt", "model.sav")
    said = capsys.readouterr().out
    assert "pickery preprocess data.micrographs=micrographs preprocess.downsample=4 preprocess.write_mrc=true" in said
    assert "topaz extract -m model.sav -x 4 -o picks.txt -r 12 -t -1.0979533195495605 " in said
    assert "not checked: with convert.topaz_python=PYTHON" in said
    assert "convert.topaz_0_3=true" in said


def test_what_a_model_of_topaz_does_not_know_is_said(capsys):
    saved()
    converted("model.ckpt", "model.sav")
    capsys.readouterr()
    converted("model.sav", "again.ckpt")
    said = capsys.readouterr().out
    assert "nor what its micrographs are shrunk by (convert.downsample would keep that with it)" in said
    assert "pickery pick picking.model=again.ckpt picking.downsample=FACTOR" in said


def test_a_model_for_topaz_0_3_is_another_file_and_comes_back_alike():
    saved()
    converted("model.ckpt", "old.sav")
    converted("model.ckpt", "new.sav", "convert.topaz_0_3=true")
    assert Path("old.sav").read_bytes() != Path("new.sav").read_bytes()
    old, new = load_weights("old.sav"), load_weights("new.sav")
    assert old.architecture == new.architecture
    assert all(torch.equal(tensor, new.state_dict[name]) for name, tensor in old.state_dict.items())


@pytest.mark.parametrize(
    ("source", "out", "more", "said"),
    [
        ("model.ckpt", "picks.star", [], r"model\.ckpt is a model and picks\.star would be none"),
        ("model.ckpt", "other.ckpt", [], r"is a model of Pickery already: copy the file"),
        ("model.ckpt", "model.ckpt", [], r"cannot be converted to itself"),
        ("model.ckpt", "other.ckpt", ["convert.downsample=8"], r"knows that its micrographs are shrunk by 4"),
        ("gone.sav", "model.sav", [], r"convert\.source=gone\.sav: there is no such file"),
        ("run/last.ckpt", "model.sav", [], r"give the model\.ckpt beside it"),
        ("begun", "model.sav", [], r"is a run that has no model yet"),
        ("runs:/abc", "model.sav", [], r"is a tracked model: give its file"),
    ],
)
def test_what_cannot_be_converted_is_said_plainly(source, out, more, said):
    saved()
    Path("begun").mkdir()
    Path("begun/run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=said):
        converted(source, out, *more)
    assert load_model(Path("model.ckpt"))


def test_settings_of_picks_have_no_effect_on_models_and_the_reverse():
    saved()
    with pytest.warns(PickeryWarning, match=r"convert\.box_size=9 has no effect with convert\.out=model\.sav"):
        load("convert", ["convert.source=model.ckpt", "convert.out=model.sav", "convert.box_size=9"])
    with pytest.warns(PickeryWarning, match=r"convert\.topaz_python=python has no effect with picks"):
        load("convert", ["convert.source=picks.txt", "convert.out=picks.star", "convert.topaz_python=python"])
    with pytest.warns(PickeryWarning, match=r"convert\.downsample=4 has no effect with convert\.out=model\.sav"):
        load("convert", ["convert.source=model.ckpt", "convert.out=model.sav", "convert.downsample=4"])


def test_without_a_topaz_to_ask_the_file_is_written_and_that_is_an_error(tmp_path):
    saved()
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(InputError, match=r"cannot import Topaz .* model\.sav is written, and not checked"):
        converted("model.ckpt", "model.sav", f"convert.topaz_python={bare}")
    assert load_weights("model.sav").architecture["units"] == 2


def stand_in(tmp_path, version, error=0.0):
    """Make a python whose Topaz is ours, off by an error."""
    package = tmp_path / "fake" / "topaz"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"__version__ = '{version}'\n")
    (package / "main.py").write_text(
        "import sys\nfrom pathlib import Path\n"
        "from pickery.evaluation.score_map import score_map\n"
        "from pickery.formats.micrographs import read_micrograph, write_mrc\n"
        "from pickery.model import build_model\nfrom pickery.model.weights import load_weights\n"
        "def main():\n"
        "    words = sys.argv\n"
        "    weights = load_weights(words[words.index('-m') + 1])\n"
        "    model = build_model(**weights.architecture)\n    model.load_state_dict(weights.state_dict)\n"
        "    out = Path(words[words.index('-o') + 1])\n    out.mkdir()\n"
        f"    scores = score_map(model.eval(), read_micrograph(Path(words[-1]))).numpy() + {error}\n"
        "    write_mrc(out / 'image.mrc', scores, pixel_size_angstrom=None)\n"
    )
    source = Path(__file__).parents[1] / "src"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path / "fake"}:{source}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return python


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.2.5a", "0.3.20"])
def test_a_topaz_that_agrees_says_so_and_its_version_decides_the_kind_of_file(tmp_path, capsys, version):
    saved()
    converted("model.ckpt", "model.sav", f"convert.topaz_python={stand_in(tmp_path, version)}")
    said = capsys.readouterr().out
    assert f"checked: Topaz {version} reads it" in said
    assert ("for Topaz 0.3.0 and later" in said) is (version == "0.3.20")


@pytest.mark.slow
def test_a_topaz_that_disagrees_ends_it_and_leaves_what_was_there(tmp_path):
    saved()
    Path("model.sav").write_bytes(b"what was there")
    with pytest.raises(
        InputError, match=r"scores a seeded image otherwise than Pickery, by up to 0\.00[12].*nothing is"
    ):
        converted("model.ckpt", "model.sav", f"convert.topaz_python={stand_in(tmp_path, '0.2.5', 0.001)}")
    assert Path("model.sav").read_bytes() == b"what was there"


@needs_topaz
@pytest.mark.slow
def test_topaz_itself_agrees(capsys):
    saved()
    converted("model.ckpt", "model.sav", f"convert.topaz_python={TOPAZ}")
    assert "checked: Topaz 0.2.5" in capsys.readouterr().out
