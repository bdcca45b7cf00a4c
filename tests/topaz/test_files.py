import mrcfile
import numpy as np

from pickery.data.datamodule import LabelledMicrographs
from pickery.data.regions import positive_regions
from pickery.topaz.files import rounded_picks, write_side


def test_micrographs_are_written_as_float32_and_picks_rounded(tmp_path):
    flat = np.random.default_rng(0).normal(size=20 * 30 + 10 * 40).astype(np.float32)
    micrographs = LabelledMicrographs(
        names=("of/a.folder", "b"),
        flat=flat,
        starts=np.array([0, 600]),
        shapes=np.array([[20, 30], [10, 40]]),
        points=(np.array([[3.5, 7.4], [29.9, 0.0]]), np.empty((0, 2))),
        radius=2,
    )
    side = write_side(tmp_path / "work", "train", micrographs)
    heading, *images = [line.split("\t") for line in side.images.read_text().splitlines()]
    assert heading == ["image_name", "path"]
    for index, (name, path) in enumerate(images):
        assert "." not in name
        assert "/" not in name
        with mrcfile.open(path, permissive=True) as mrc:
            assert mrc.data.dtype == np.float32
            assert np.array_equal(mrc.data, micrographs.image(index))
    assert side.targets.read_text().splitlines() == [
        "image_name\tx_coord\ty_coord", f"{images[0][0]}\t4\t7", f"{images[0][0]}\t29\t0",
    ]  # fmt: skip


def test_rounded_picks_label_the_same_regions():
    points = np.random.default_rng(1).uniform(3, 60, size=(50, 2))
    whole = rounded_picks(points, (64, 64))
    assert np.array_equal(positive_regions(points, (64, 64), 3), positive_regions(whole, (64, 64), 3))
