from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pickery.errors import InputError
from pickery.formats.micrographs import MicrographFile
from pickery.preprocess.index import INDEX_FILE
from pickery.preprocess.prepare import Prepared
from pickery.preprocess.store import PreparedSet, open_prepared


@pytest.fixture
def prepared(run: Callable[..., Prepared], micrographs: list[MicrographFile]) -> PreparedSet:
    return run(micrographs).set


def test_opened_set_equals_the_one_prepared(prepared: PreparedSet) -> None:
    opened = open_prepared(prepared.directory)
    assert opened.names == prepared.names
    assert opened.paths == prepared.paths
    assert opened.settings == prepared.settings
    assert opened.fingerprint == prepared.fingerprint == prepared.directory.name
    np.testing.assert_array_equal(opened.flat(), prepared.flat())
    np.testing.assert_array_equal(opened.starts, prepared.starts)


def test_images_lie_one_after_the_other_and_cannot_be_written(prepared: PreparedSet) -> None:
    joined = np.concatenate([prepared.image(index).ravel() for index in range(len(prepared))])
    np.testing.assert_array_equal(joined, prepared.flat())
    assert not prepared.flat().flags.writeable
    assert not prepared.image(0).flags.writeable
    assert prepared.flat().dtype == np.dtype("<f4")
    assert prepared.starts.tolist() == [0, 352, 704, 1044]


def test_picks_survive_the_way_down_and_up(prepared: PreparedSet) -> None:
    random = np.random.default_rng(0)
    for index in range(len(prepared)):
        rows, columns = prepared.full_shapes[index]
        full = random.random((500, 2)) * (columns - 1, rows - 1)
        regions = np.floor(prepared.to_regions(index, full) + 0.5)
        back = prepared.to_full(index, regions)
        y_scale, x_scale = prepared.scale(index)
        assert np.all(np.abs(back - full) <= np.array([x_scale, y_scale]) / 2 + 1e-9)
        np.testing.assert_allclose(prepared.to_full(index, prepared.to_regions(index, full)), full)


def test_scale_is_the_real_one(prepared: PreparedSet) -> None:
    assert prepared.scale(0) == (66 / 16, 90 / 22)
    np.testing.assert_allclose(prepared.to_regions(0, [(90, 66)]), [(22, 16)])


def test_selection_shares_the_file(prepared: PreparedSet) -> None:
    chosen = prepared.select(["mic_2", "mic_0"])
    assert chosen.names == ("mic_2", "mic_0")
    assert chosen.directory == prepared.directory
    np.testing.assert_array_equal(chosen.image(0), prepared.image(2))
    np.testing.assert_array_equal(chosen.image(1), prepared.image(0))
    assert chosen.shapes.tolist() == [[20, 17], [16, 22]]
    assert chosen.fingerprint != prepared.fingerprint
    assert prepared.select(prepared.names).fingerprint == prepared.fingerprint
    assert len(prepared.select([])) == 0
    with pytest.raises(KeyError, match="mic_9"):
        prepared.select(["mic_9"])


def test_pickled_set_carries_no_pixels(prepared: PreparedSet) -> None:
    image = prepared.image(1)
    sent = pickle.dumps(prepared)
    assert len(sent) < 3000
    np.testing.assert_array_equal(pickle.loads(sent).image(1), image)


def test_missing_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no prepared set"):
        open_prepared(tmp_path / "none")


@pytest.mark.parametrize("damage", ['{"version": 1', "[]", "{}", '{"version": 1, "settings": {}, "entries": [{}]}'])
def test_damaged_index_is_told(prepared: PreparedSet, damage: str) -> None:
    (prepared.directory / INDEX_FILE).write_text(damage)
    with pytest.raises(InputError, match="damaged"):
        open_prepared(prepared.directory)


def test_other_version_is_told(prepared: PreparedSet) -> None:
    written = json.loads((prepared.directory / INDEX_FILE).read_text())
    (prepared.directory / INDEX_FILE).write_text(json.dumps(written | {"version": 99}))
    with pytest.raises(InputError, match="of version 99"):
        open_prepared(prepared.directory)
