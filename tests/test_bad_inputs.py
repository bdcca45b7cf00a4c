"""What users get wrong, given to the real command: one plain line that names the culprit and the remedy, no traceback.

Most run inside this process; what needs a process of its own (limits, a server) is at the end.
"""

import errno
import json
import os
import pickle
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pickery.cli import main
from tests.conftest import Command, TinyData

Make = Callable[[TinyData], list[str]]


@dataclass(frozen=True)
class Case:
    """How to give something wrong in the current folder, and what must be said of it."""

    make: Make
    says: tuple[str, ...]


CASES: list[Case] = []


def says(*texts: str) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        CASES.append(Case(make, texts))
        return make

    return add


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def complaint(words: list[str], capsys: pytest.CaptureFixture[str], status: int = 1, command: str = "train") -> str:
    """Run a command that has to fail, and give the one line that it says of it."""
    capsys.readouterr()
    assert main([command, *words]) == status
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("pickery: ")
    assert "mistake in Pickery" not in lines[0]
    assert "Traceback" not in captured.out
    return lines[0]


# ---- micrographs


def among_good_ones(tiny: TinyData, write: Callable[[Path], object], ending: str = ".mrc") -> list[str]:
    """Lay out the micrographs with a bad one in the place of the second."""
    folder = Path("micrographs")
    folder.mkdir()
    for path in tiny.micrographs.iterdir():
        if path.stem != "simulated_0002":
            (folder / path.name).symlink_to(path)
    write(folder / f"simulated_0002{ending}")
    return [f"data.micrographs={folder}"]


def good(tiny: TinyData) -> NDArray[np.float32]:
    from pickery.formats.micrographs import read_micrograph

    return read_micrograph(tiny.micrographs / "simulated_0002.mrc").copy()


def write_mrc(path: Path, data: NDArray[Any], *, volume: bool = False) -> None:
    import mrcfile

    with mrcfile.new(path) as mrc:
        mrc.set_data(data)
        if volume:
            mrc.set_volume()
        elif data.ndim == 3:
            mrc.set_image_stack()


@says("simulated_0002.mrc is truncated", "write or copy it again", "preprocess.skip_bad=true")
def truncated_mrc(tiny: TinyData) -> list[str]:
    whole = (tiny.micrographs / "simulated_0002.mrc").read_bytes()
    return among_good_ones(tiny, lambda path: path.write_bytes(whole[:-1000]))


@says("simulated_0002.mrc is not an MRC image", "write or copy it again")
def mrc_without_a_byte(tiny: TinyData) -> list[str]:
    return among_good_ones(tiny, lambda path: path.touch())


@says("simulated_0002.mrc is not an MRC image", "check what kind of file it is")
def text_called_mrc(tiny: TinyData) -> list[str]:
    return among_good_ones(tiny, lambda path: path.write_text("hello " * 1000))


@says("simulated_0002.mrc holds a volume of 8 sections", "one image a file")
def volume(tiny: TinyData) -> list[str]:
    return among_good_ones(tiny, lambda path: write_mrc(path, np.zeros((8, 64, 64), np.float32), volume=True))


@says("simulated_0002.mrc holds a stack of 8 images", "run motion correction first")
def stack_of_frames(tiny: TinyData) -> list[str]:
    return among_good_ones(tiny, lambda path: write_mrc(path, np.zeros((8, 64, 64), np.float32)))


@says("simulated_0002.tif holds a stack of 5 images", "run motion correction first")
def tiff_of_frames(tiny: TinyData) -> list[str]:
    import tifffile

    frames = np.zeros((5, 64, 64), np.uint8)
    return among_good_ones(tiny, lambda path: tifffile.imwrite(path, frames, photometric="minisblack"), ".tif")


@says("simulated_0002.mrc holds complex numbers (a Fourier transform)", "write it as a real image")
def fourier_transform(tiny: TinyData) -> list[str]:
    return among_good_ones(tiny, lambda path: write_mrc(path, np.ones((384, 384), np.complex64)))


@says("simulated_0002.mrc has 1 pixels that are not finite numbers", "leave it out with preprocess.skip_bad=true")
def nan_pixel(tiny: TinyData) -> list[str]:
    from pickery.formats.micrographs import write_mrc as write

    image = good(tiny)
    image[7, 11] = np.nan
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="NaN"):
        return among_good_ones(tiny, lambda path: write(path, image, pixel_size_angstrom=2.0))


@says("simulated_0002.mrc is the same everywhere", "preprocess.skip_bad=true")
def constant_image(tiny: TinyData) -> list[str]:
    return among_good_ones(tiny, lambda path: write_mrc(path, np.full((384, 384), 7, np.float32)))


@says("simulated_0002.png is in colour", "give the image that the camera recorded")
def colour_image(tiny: TinyData) -> list[str]:
    from PIL import Image

    colours = np.random.default_rng(0).integers(0, 255, (384, 384, 3), dtype=np.uint8)
    return among_good_ones(tiny, lambda path: Image.fromarray(colours).save(path), ".png")


@says("simulated_0002 has 25 x 25 pixels at preprocess.downsample=4", "model=conv31 (35 x 35)", "downsample less")
def micrograph_smaller_than_a_patch(tiny: TinyData) -> list[str]:
    corner = np.ascontiguousarray(good(tiny)[:100, :100])
    return among_good_ones(tiny, lambda path: write_mrc(path, corner))


@says("data.micrographs=empty is an empty folder", "give the folder that holds the files")
def empty_folder(tiny: TinyData) -> list[str]:
    Path("empty").mkdir()
    return ["data.micrographs=empty"]


@says("data.micrographs=gone/mics does not exist", "there is no folder")
def missing_folder(tiny: TinyData) -> list[str]:
    return ["data.micrographs=gone/mics"]


@says("data.micrographs=notes", "no micrographs, which end in .mrc")
def folder_of_other_files(tiny: TinyData) -> list[str]:
    Path("notes").mkdir()
    Path("notes/session.log").write_text("...")
    return ["data.micrographs=notes"]


@says("list.txt lists 1 of 2 files that do not exist", "gone.mrc", "correct the list")
def list_of_a_missing_micrograph(tiny: TinyData) -> list[str]:
    Path("list.txt").write_text(f"{tiny.micrographs / 'simulated_0001.mrc'}\ngone.mrc\n")
    return ["data.micrographs=list.txt"]


@says("simulated_0002.mrc", "a link to a file that does not exist", "mend or remove the link")
def dangling_link(tiny: TinyData) -> list[str]:
    return among_good_ones(tiny, lambda path: path.symlink_to("/gone/elsewhere.mrc"))


@says("simulated_0001.mrc and", "simulated_0001.tif", "give only one of them")
def two_files_for_one_micrograph(tiny: TinyData) -> list[str]:
    import tifffile

    words = among_good_ones(tiny, lambda path: path.symlink_to(tiny.micrographs / path.name))
    tifffile.imwrite("micrographs/simulated_0001.tif", good(tiny))
    return words


@says("data.test_micrographs and data.micrographs both hold", "either trains or tests")
def the_same_micrograph_in_training_and_test(tiny: TinyData) -> list[str]:
    return [f"data.test_micrographs={tiny.micrographs / 'simulated_0001.mrc'}", f"data.test_picks={tiny.picks}"]


@says("has 3 x 3 pixels at preprocess.downsample=100, less than one crop", "downsample less")
def downsampled_to_nothing(tiny: TinyData) -> list[str]:
    return ["preprocess.downsample=100"]


# ---- picks


def rows(tiny: TinyData) -> list[list[str]]:
    """Give the good picks: the header, then name, x and y."""
    return [line.split("\t") for line in tiny.picks.read_text().splitlines()]


def picks(name: str, table: list[list[str]], separator: str = "\t") -> list[str]:
    Path(name).write_text("".join(separator.join(row) + "\n" for row in table))
    return [f"data.picks={name}"]


@says("data.picks=others.txt names", "none of them among the 6 given", "give the micrographs that were picked")
def picks_of_other_micrographs(tiny: TinyData) -> list[str]:
    header, *good = rows(tiny)
    return picks("others.txt", [header, *([f"grid7_{name}_EER", x, y] for name, x, y in good)])


@says("data.picks=outside.txt has all its", "outside the micrographs", "data.coordinate_scale=1")
def picks_all_outside(tiny: TinyData) -> list[str]:
    header, *good = rows(tiny)
    return picks("outside.txt", [header, *([name, str(1000 + float(x)), y] for name, x, y in good)])


@says("empty.txt is empty", "write it again with the columns image_name, x_coord, y_coord")
def empty_pick_file(tiny: TinyData) -> list[str]:
    return picks("empty.txt", [])


@says("data.picks=header.txt holds no picks")
def pick_file_of_a_header_alone(tiny: TinyData) -> list[str]:
    return picks("header.txt", rows(tiny)[:1])


@says("lacking.csv has no column y_coord", "image_name, x_coord, row", "name the columns")
def column_missing(tiny: TinyData) -> list[str]:
    return picks("lacking.csv", [["image_name", "x_coord", "row"], *rows(tiny)[1:]], ",")


@says("words.txt: x_coord in row 2 (line 3) is 'left', no finite number", "correct or remove the row")
def coordinate_that_is_no_number(tiny: TinyData) -> list[str]:
    header, first, second, *_ = rows(tiny)
    return picks("words.txt", [header, first, [second[0], "left", second[2]]])


@says("nan.txt: y_coord in row 1 (line 2) is 'nan'", "correct or remove the row")
def coordinate_that_is_nan(tiny: TinyData) -> list[str]:
    header, first, *_ = rows(tiny)
    return picks("nan.txt", [header, [first[0], first[1], "nan"]])


@says("short.txt has 2 values in row 1 (line 2) under 3 columns", "complete the row")
def row_cut_short(tiny: TinyData) -> list[str]:
    header, first, *_ = rows(tiny)
    return picks("short.txt", [header, first[:2]])


@says("picks.xyz is of no known kind", "give one that ends in .txt, .tsv, .csv, .star, .box")
def unknown_ending(tiny: TinyData) -> list[str]:
    return picks("picks.xyz", [["1", "2", "3"]])


@says("picks.cs has no picks, lacking location/micrograph_path", "give the .cs of the picks")
def cryosparc_file(tiny: TinyData) -> list[str]:
    np.save("picks.npy", np.zeros(3, [("uid", "<u8"), ("location/center_x_frac", "<f4")]))
    os.rename("picks.npy", "picks.cs")
    return ["data.picks=picks.cs"]


@says("job.star has no table with _rlnCoordinateX", "give the STAR file of the particles")
def star_of_something_else(tiny: TinyData) -> list[str]:
    return picks("job.star", [["data_"], [], ["loop_"], ["_rlnMicrographName #1"], ["a.mrc"]])


@says("picks.txt is not text in UTF-8", "save it as plain text in UTF-8")
def picks_in_another_encoding(tiny: TinyData) -> list[str]:
    Path("picks.txt").write_bytes("image_name\tx_coord\ty_coord\nGitter_für_A\t1\t2\n".encode("latin-1"))
    return ["data.picks=picks.txt"]


@says("data.picks=gone.star does not exist", "check the path")
def missing_pick_file(tiny: TinyData) -> list[str]:
    return ["data.picks=gone.star"]


@says("data.test_fraction=0.34 holds out whole micrographs", "only 1 has picks", "data.test_fraction=0")
def picks_on_one_micrograph_alone(tiny: TinyData) -> list[str]:
    header, *good = rows(tiny)
    return picks("one.txt", [header, *(row for row in good if row[0] == good[0][0])])


@says("none of data.test_micrographs=apart.mrc can be held out", "give the picks that belong to them")
def picks_of_the_test_on_training_micrographs(tiny: TinyData) -> list[str]:
    Path("train").mkdir()
    first, *others = sorted(tiny.micrographs.iterdir())
    for path in others:
        (Path("train") / path.name).symlink_to(path)
    Path("apart.mrc").symlink_to(first)
    return ["data.micrographs=train", "data.test_micrographs=apart.mrc", f"data.test_picks={tiny.picks}"]


# ---- settings and data together


@says("data.expected_particles=2000", "more than the 9216 regions", "lower data.expected_particles")
def pi_of_one_or_more(tiny: TinyData) -> list[str]:
    return ["data.expected_particles=2000"]


@says("96 x 96 pixels at preprocess.downsample=4", "model=conv127 (143 x 143)", "smaller patch")
def patch_larger_than_the_micrographs(tiny: TinyData) -> list[str]:
    return ["model=conv127"]


@says("data.folds=9 needs at least 9 micrographs with picks, got 6", "use fewer folds")
def more_folds_than_micrographs(tiny: TinyData) -> list[str]:
    return ["data.folds=9", "data.fold=0"]


@says("evaluation.stride=16 meets none of the positive regions", "lower it")
def stride_that_sees_no_particle(tiny: TinyData) -> list[str]:
    return ["evaluation.stride=16", "data.radius=0"]


@says("data.particle_diameter is in Å", "set data.pixel_size")
def diameter_without_a_pixel_size(tiny: TinyData) -> list[str]:
    from pickery.formats.micrographs import write_mrc as write

    Path("sizeless").mkdir()
    for path in tiny.micrographs.iterdir():
        write(Path("sizeless") / path.name, good(tiny) + len(path.name), pixel_size_angstrom=None)
    return ["data.micrographs=sizeless", "data.particle_diameter=130"]


@says("trainer.precision=16-mixed needs a GPU", "use trainer.precision=bf16-mixed or 32")
def half_precision_without_a_gpu(tiny: TinyData) -> list[str]:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    return ["trainer.precision=16-mixed", "trainer.accelerator=auto"]


@says(
    "the training diverged at step 2 (epoch 1): the network's scores are no longer numbers",
    "lower optimizer.learning_rate=1e+20",
)
def learning_rate_beyond_reason(tiny: TinyData) -> list[str]:
    return ["optimizer.learning_rate=1e20"]


@says("the training diverged at step 1 (epoch 1): the L2 term is too large for a number", "lower loss.l2=1e+40")
def regularisation_beyond_reason(tiny: TinyData) -> list[str]:
    return ["loss.l2=1e40"]


# ---- weights to start from


def weights(name: str, architecture: str = "conv31", units: int = 4) -> Path:
    from pickery.model import build_model
    from pickery.model.weights import save_model

    model = build_model(architecture, units=units, seed=0)
    save_model(Path(name), model, preprocess={}, picking={}, metrics={}, provenance={})
    return Path(name)


@says("model.pretrained=other.ckpt holds other weights", "it needs model=conv63")
def weights_of_another_architecture(tiny: TinyData) -> list[str]:
    return [f"model.pretrained={weights('other.ckpt', 'conv63')}"]


@says("model.pretrained=wide.ckpt holds other weights", "it needs model.units=8")
def weights_of_another_width(tiny: TinyData) -> list[str]:
    return [f"model.pretrained={weights('wide.ckpt', units=8)}"]


@says("cut.ckpt is not a file of weights that torch wrote, or it is cut short", "copy it again")
def weights_cut_short(tiny: TinyData) -> list[str]:
    path = weights("cut.ckpt")
    path.write_bytes(path.read_bytes()[:3000])
    return ["model.pretrained=cut.ckpt"]


@says("hollow.ckpt is damaged", "copy it again")
def model_file_without_its_weights(tiny: TinyData) -> list[str]:
    import torch

    content = torch.load(weights("hollow.ckpt"), weights_only=True)
    content["state_dict"].pop("classifier.weight")
    torch.save(content, "hollow.ckpt")
    return ["model.pretrained=hollow.ckpt"]


@says("model.pretrained=gone.sav: there is no such file", "check the path")
def weights_that_are_not_there(tiny: TinyData) -> list[str]:
    return ["model.pretrained=gone.sav"]


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


@says("evil.sav asks to run code", "Take the file from its source again")
def weights_that_run_code(tiny: TinyData) -> list[str]:
    Path("evil.sav").write_bytes(pickle.dumps(Malicious()))
    return ["model.pretrained=evil.sav"]


# ---- places that cannot be written: a file stands where the folder should be, which stops even root


def file_in_the_place(name: str) -> str:
    Path(name).write_text("not a folder")
    return name


@says("preprocess.store=FOLDER", "cannot be kept in", "prepared (Not a directory)")
def store_that_is_a_file(tiny: TinyData) -> list[str]:
    return [f"preprocess.store={file_in_the_place('prepared')}"]


@says("run_dir=there cannot be written", "give another run_dir")
def run_dir_that_is_a_file(tiny: TinyData) -> list[str]:
    return [f"run_dir={file_in_the_place('there')}"]


@says("the run's folder runs/train-", "cannot be written", "give another run_dir")
def folder_of_runs_that_is_a_file(tiny: TinyData) -> list[str]:
    file_in_the_place("runs")
    return []


@says("cannot be written (File name too long)", "give another run_dir")
def run_dir_with_too_long_a_name(tiny: TinyData) -> list[str]:
    return [f"run_dir={'x' * 300}"]


@says("run_dir=thesis is not empty and holds no run of Pickery", "give another folder")
def run_dir_of_something_else(tiny: TinyData) -> list[str]:
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").touch()
    return ["run_dir=thesis"]


@says("tracking.root=", "root cannot be written", "choose another folder, or tracking=off")
def tracking_root_that_is_a_file(tiny: TinyData) -> list[str]:
    return ["tracking=mlflow", f"tracking.root={file_in_the_place('root')}"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.make.__name__)
def test_a_bad_input_ends_in_one_plain_line(case: Case, tiny: TinyData, capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(tiny.overrides(*case.make(tiny)), capsys)
    for text in case.says:
        assert text in said
    assert not Path("harm").exists()


@pytest.mark.parametrize("command", ["train", "cross-validate"])
@pytest.mark.parametrize("make", [run_dir_that_is_a_file, run_dir_of_something_else])
def test_a_folder_that_no_run_can_be_in_is_refused_before_anything_is_prepared(
    command: str, make: Callable[[TinyData], list[str]], tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(tiny.overrides(*make(tiny), "preprocess.store=store"), capsys, command=command)
    assert "another" in said
    assert not Path("store").exists()


# ---- settings: said at once, with status 2


SETTINGS: list[tuple[list[str], list[str]]] = [
    (["trainer.epoch=3"], ["trainer.epoch is not a setting", "Did you mean trainer.epochs?"]),
    (["trainer.epochs=many"], ["trainer.epochs=many: must be a whole number of at least 1 (got many)"]),
    (["data.test_fraction=1.5"], ["data.test_fraction=1.5: must be at least 0 and below 1"]),
    (["optimizer.learning_rate=nan"], ["optimizer.learning_rate=nan: must be a number above 0"]),
    (["model=resnet9"], ["model=resnet9: there is no such model", "Did you mean model=resnet8?"]),
    (["data.expected_particles=null"], ["data.expected_particles is missing", "Count them in two or three"]),
    (["data.picks=null"], ["data.picks is missing", "data.picks=picks.star"]),
    (["model=resnet8", "model.pooling=average"], ["model.pooling=average", "model=resnet8", "model.pooling=max"]),
    (["model=resnet8", "loss.autoencoder=1"], ["loss.autoencoder=1", "model=resnet8", "loss.autoencoder=0"]),
    (["model.pooling=max"], ["model.pooling=max", "model=conv31", "model.pooling=average"]),
    (["model.dropout=0.5"], ["model.dropout=0.5", "model=conv31", "model.dropout=0"]),
    (["data.test_fraction=0", "evaluation.monitor=auprc"], ["evaluation.monitor=auprc", "data.test_fraction=0.2"]),
    (["data.fold=1"], ["data.fold=1 needs data.folds", "data.folds=5"]),
    (["sampler.balance=0.99"], ["sampler.balance=0.99", "leaves no unlabeled crop", "0.0625"]),
]


@pytest.mark.parametrize(("words", "texts"), SETTINGS, ids=[" ".join(words) for words, _ in SETTINGS])
def test_a_bad_setting_is_refused_with_a_way_out(
    words: list[str], texts: list[str], tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(tiny.overrides(*words), capsys, status=2)
    for text in texts:
        assert text in said
    assert not any(Path().iterdir())


@pytest.mark.parametrize(
    ("command", "words", "status", "text"),
    [
        ("preprocess", [], 2, "data.micrographs is missing"),
        ("simulate", [], 2, "simulation.out is missing"),
        ("simulate", ["simulation.out=place"], 1, "simulation.out: place is a file: give another folder"),
        ("ui", ["tracking.root=place"], 1, "tracking.root=place holds no runs yet: pickery train makes some"),
    ],
)
def test_the_other_commands_complain_as_plainly(
    command: str, words: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file_in_the_place("place")
    assert text in complaint(words, capsys, status, command)


# ---- what must work, or be left out when asked


def test_names_that_differ_by_folder_or_ending_are_the_same_micrographs(
    tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *good = rows(tiny)
    metrics = []
    for index, (before, after) in enumerate([("", ""), ("MotionCorr/job007/", ".mrc"), ("/elsewhere/", ".tif")]):
        words = picks(f"picks{index}.txt", [header, *([f"{before}{name}{after}", x, y] for name, x, y in good)])
        assert main(["train", *tiny.overrides("trainer.epochs=1", f"run_dir=run{index}", *words)]) == 0
        metrics.append(Path(f"run{index}/metrics.csv").read_text())
    assert metrics[0] == metrics[1] == metrics[2]
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize("make", [truncated_mrc, nan_pixel])
def test_a_bad_micrograph_among_many_is_named_and_can_be_skipped(
    make: Make, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    import csv

    words = tiny.overrides("trainer.epochs=1", "run_dir=run", *make(tiny))
    complaint(words, capsys)
    assert main(["train", *words, "preprocess.skip_bad=true"]) == 0
    assert "warning: left out simulated_0002: " in capsys.readouterr().out
    entries = list(csv.DictReader(Path("run/micrographs.csv").read_text().splitlines()))
    skipped = {row["name"]: row["reason"] for row in entries if row["set"] == "skipped"}
    assert list(skipped) == ["simulated_0002"]
    assert "simulated_0002.mrc" in skipped["simulated_0002"]
    assert len(entries) == 6


# ---- a run's folder that came to harm


@pytest.fixture(scope="module")
def finished(tiny: TinyData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", *tiny.overrides("trainer.epochs=1", f"run_dir={folder}")]) == 0
    return folder


Harm = Callable[[Path], object]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def assert_told(
    name: str, harm: Harm, texts: list[str], tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Harm a file of a run, and have the same command say so; gives its words."""
    harm(Path("run") / name)
    words = tiny.overrides("trainer.epochs=1", "run_dir=run")
    said = complaint(words, capsys)
    for text in texts:
        assert text in said
    return words


@pytest.mark.parametrize(
    ("name", "harm", "texts"),
    [
        ("run.json", cut, ["run/run.json is damaged", "give another run_dir, or remove run"]),
        ("run.json", lambda path: path.write_text('{"decides": 3, "tracked_run": null}'), ["run/run.json is damaged"]),
        ("run.json", Path.unlink, ["run_dir=run is not empty", "give another folder"]),
        ("summary.json", cut, ["run/summary.json is damaged", "give another run_dir, or remove run"]),
        ("last.ckpt", cut, ["run/last.ckpt is damaged", "remove it, and the same command trains this run again"]),
        ("last.ckpt", lambda path: path.write_bytes(b""), ["run/last.ckpt is damaged"]),
        ("model.ckpt", cut, ["run/model.ckpt", "Remove run/last.ckpt, and the same command trains this run again"]),
        ("model.ckpt", Path.unlink, ["run/model.ckpt cannot be read", "Remove run/last.ckpt"]),
    ],
)
def test_a_damaged_run_says_what_to_remove(
    name: str, harm: Harm, texts: list[str], finished: Path, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, "run")
    if name.endswith(".ckpt"):
        Path("run/summary.json").unlink()  # as if interrupted
    words = assert_told(name, harm, texts, tiny, capsys)
    if name == "model.ckpt":
        Path("run/last.ckpt").unlink()
        assert main(["train", *words]) == 0
        assert Path("run/metrics.csv").read_text() == (finished / "metrics.csv").read_text()


def without(path: Path, *names: str) -> None:
    summary = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in summary.items() if name not in names}))


@pytest.mark.parametrize(
    ("name", "harm", "texts"),
    [
        ("model.ckpt", cut, ["or it is cut short", "The run in run was finished: remove the folder"]),
        (
            "model.ckpt",
            Path.unlink,
            ["run/model.ckpt cannot be read", "and the same command trains it"],
        ),
        ("model.ckpt", lambda path: path.write_bytes(b""), ["run/model.ckpt", "remove the folder"]),
        ("summary.json", lambda path: without(path, "best_epoch"), ["run/summary.json is damaged"]),
        ("summary.json", lambda path: without(path, "monitored"), ["run/summary.json is damaged"]),
    ],
)
def test_a_finished_run_that_came_to_harm_is_not_said_to_be_well(
    name: str, harm: Harm, texts: list[str], finished: Path, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, "run")
    assert_told(name, harm, texts, tiny, capsys)


def test_a_folder_whose_name_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(["run_dir=r_\udcff"], capsys)
    assert "'run_dir=r_\\udcff' has bytes that are no text here" in said
    assert not Path("prepared").exists()


def test_what_a_killed_process_left_half_written_is_no_obstacle(tiny: TinyData) -> None:
    Path("run").mkdir()
    for name in (".lock", ".run.json.4711.0123abcd.part"):
        Path("run", name).touch()
    assert main(["train", *tiny.overrides("trainer.epochs=1", "run_dir=run")]) == 0
    assert sorted(path.name for path in Path("run").iterdir() if path.name.startswith(".")) == [".lock"]


def test_a_run_of_other_settings_is_left_alone(
    finished: Path, tiny: TinyData, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(tiny.overrides("trainer.epochs=1", f"run_dir={finished}", "model.units=6"), capsys)
    assert "has model.units=4, not 6: give another run_dir" in said


# ---- no room


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Refuse to let any file of this process grow beyond so many bytes, as a full disk would."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_for_the_prepared_micrographs(tiny: TinyData, capsys: pytest.CaptureFixture[str]) -> None:
    words = tiny.overrides("preprocess.store=small")
    with files_no_larger_than(50_000):
        said = complaint(words, capsys)
    assert "small (File too large)" in said
    assert "choose another folder with preprocess.store=FOLDER" in said
    assert not list(Path("small").glob("*/index.json"))
    assert main(["train", *words, "trainer.epochs=1"]) == 0


def test_no_room_for_the_run_is_said_and_what_was_done_is_kept(
    finished: Path, tiny: TinyData, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pickery.training import callbacks

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    words = tiny.overrides("trainer.epochs=2", "run_dir=run")
    write = callbacks.write_metrics

    def write_one(path: Path, epochs: list[Any]) -> None:
        (full if len(epochs) > 1 else write)(path, epochs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "write_metrics", write_one)
        said = complaint(words, capsys)
    assert said == "pickery: run: No space left on device. Free some space, then give the same command again."
    assert Path("run/metrics.csv").read_text() == (finished / "metrics.csv").read_text()
    assert main(["train", *words]) == 0
    assert len(Path("run/metrics.csv").read_text().splitlines()) == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs ulimit")
def test_a_process_with_no_room_for_its_model_ends_plainly(tiny: TinyData, tmp_path: Path) -> None:
    import subprocess

    words = tiny.overrides("run_dir=run", "model.units=32")
    # in kilobytes: room for the prepared micrographs, not for the model
    command = f'ulimit -f 400; exec "{sys.executable}" -m pickery train "$@"'
    done = subprocess.run(["bash", "-c", command, "bash", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("pickery: ")
    assert "File too large" in done.stderr
    assert "File too large" in (tmp_path / "run" / "log.txt").read_text()


# ---- the tracked run, and the page of runs


# SQLAlchemy deprecates what MLflow 3.17 does when it opens its database
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_a_run_that_had_begun_is_marked_failed(tiny: TinyData, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in tiny.overrides(*weights_of_another_architecture(tiny)) if word != "tracking=off"]
    complaint(words, capsys)

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    (run,) = client.search_runs([client.get_experiment_by_name("pickery").experiment_id])
    assert run.info.status == "FAILED"
    assert run.info.end_time is not None
    log = Path(client.download_artifacts(run.info.run_id, "log.txt")).read_text()
    assert "failed: model.pretrained=other.ckpt holds other weights" in log

    said = complaint(["tracking.experiment=other"], capsys, command="ui")
    assert "there is no experiment 'other'" in said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = complaint([f"ui.port={port}"], capsys, command="ui")
    assert f"ui.port={port} cannot be listened on (Address already in use)" in said
    assert f"such as ui.port={port + 1}" in said  # those that browsers shun are not among a system's own choices
    assert "browsers open no page there: give another, such as ui.port=5062" in complaint(
        ["ui.port=5060"], capsys, command="ui"
    )
    Path("mlruns/mlflow.db").write_text("not a database")
    assert "tracking.root=mlruns does not answer" in complaint(["tracking.experiment=third"], capsys, command="ui")


@pytest.mark.slow
def test_the_program_itself_says_it_on_the_error_stream(tiny: TinyData, pickery: Command) -> None:
    done = pickery("train", *tiny.overrides("data.picks=gone.star"), check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "pickery: data.picks=gone.star does not exist: check the path.\n"
