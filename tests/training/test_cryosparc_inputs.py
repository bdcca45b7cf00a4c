from pathlib import Path

import numpy as np
from cryosparc.dataset import Dataset

from pickery.config.load import load
from pickery.formats.micrographs import find_micrographs, write_mrc
from pickery.training.found import find
from pickery.training.listener import Silence


def test_cryosparcs_files_are_picks_and_micrographs_and_say_the_pixel_size(tmp_path: Path) -> None:
    paths = [f"J3/imported/{number:021d}_{name}.mrc" for number, name in enumerate("ab")]
    for path in paths:
        write_mrc(tmp_path / path, np.eye(100, 200), pixel_size_angstrom=None)
    fields = {
        "uid": np.array([1, 2], np.uint64),
        "micrograph_blob/path": np.array([f">{path}" for path in paths], object),
        "micrograph_blob/shape": np.array([[100, 200]] * 2, np.uint32),
        "micrograph_blob/psize_A": np.array([0.83] * 2, np.float32),
    }
    job = tmp_path / "J4"
    job.mkdir()
    Dataset(list(fields.items())).save(job / "exposures.cs")
    fields = {
        "uid": np.array([7, 8], np.uint64),
        "location/micrograph_path": np.array(paths, object),
        "location/micrograph_shape": np.array([[100, 200]] * 2, np.uint32),
        "location/center_x_frac": np.array([0.5, 0.25], np.float32),
        "location/center_y_frac": np.array([0.75, 0.5], np.float32),
    }
    Dataset(list(fields.items())).save(job / "picks.cs")
    given = [f"data.micrographs={job}/exposures.cs", f"data.picks={job}/picks.cs", "data.expected_particles=5"]
    found = find(load("train", ["data=files", *given]).data, Silence())
    names = [file.name for file in find_micrographs(str(job / "exposures.cs"))]
    assert {name: own.tolist() for name, own in found.points.items()} == {names[0]: [[100, 25]], names[1]: [[50, 50]]}
    assert found.pixel_size_angstrom == 0.83
