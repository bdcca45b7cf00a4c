from __future__ import annotations

import errno
import gzip
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pickery.formats.micrographs as formats
from pickery.errors import InputError, PickeryWarning
from pickery.formats.micrographs import MicrographFile, find_micrographs, read_header, read_micrograph, write_mrc
from pickery.preprocess import build, pool, work
from pickery.preprocess.fourier import downsample
from pickery.preprocess.index import IMAGES_FILE
from pickery.preprocess.mixture import fit_mixture
from pickery.preprocess.prepare import Prepared
from pickery.preprocess.store import open_prepared

Run = Callable[..., Prepared]
Write = Callable[..., None]
BUILDER = "0123456789abcdef" * 2


def set_folders(store: Path) -> list[str]:
    """Names of all that stands in the store, finished or not, but for the locks and the known hashes."""
    return sorted(path.name for path in store.iterdir() if path.is_dir() and path.name != ".locks")


def images_bytes(prepared: Prepared) -> bytes:
    return (prepared.set.directory / IMAGES_FILE).read_bytes()


def spoil(path: Path) -> None:
    """Make the last pixel of an MRC no number: nothing that its header would show."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + np.float32("nan").tobytes())


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of the micrographs whose pixels are read, in the order of reading."""
    seen: list[str] = []

    def read(path: Path) -> Any:
        seen.append(path.stem)
        return read_micrograph(path)

    monkeypatch.setattr(formats, "read_micrograph", read)
    return seen


def test_images_are_downsampled_and_normalised(run: Run, micrographs: list[MicrographFile]) -> None:
    prepared = run(micrographs).set
    assert prepared.names == ("mic_0", "mic_1", "mic_2", "mic_3")
    assert prepared.shapes.tolist() == [[16, 22], [16, 22], [20, 17], [16, 22]]
    assert prepared.full_shapes.tolist() == [[66, 90], [66, 90], [80, 71], [66, 90]]
    assert prepared.pixel_sizes_angstrom == pytest.approx((1.5,) * 4)
    for index, file in enumerate(micrographs):
        small = downsample(read_micrograph(file.path), 4)
        fit = fit_mixture(small)
        np.testing.assert_allclose(prepared.image(index), (small - fit.mean) / fit.std, atol=1e-5)


def test_affine_gives_mean_zero_and_std_one(run: Run, micrographs: list[MicrographFile]) -> None:
    prepared = run(micrographs, method="affine").set
    for index in range(4):
        assert prepared.image(index).mean(dtype=float) == pytest.approx(0, abs=1e-5)
        assert prepared.image(index).std(dtype=float) == pytest.approx(1, abs=1e-5)


def test_same_bytes_for_any_worker_count(
    run: Run, micrographs: list[MicrographFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "POOL_PAYS_FROM_PIXELS", 0)
    done: list[tuple[int, int]] = []
    one, three = (
        run(micrographs, workers=workers, pixel_sampling=2, store=tmp_path / str(workers), progress=report)
        for workers, report in ((1, None), (3, lambda *counts: done.append(counts)))
    )
    assert images_bytes(one) == images_bytes(three)
    assert one.set.fingerprint == three.set.fingerprint
    assert done == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_sampled_pixels_do_not_depend_on_the_order(run: Run, micrographs: list[MicrographFile], tmp_path: Path) -> None:
    forwards = run(micrographs, pixel_sampling=3).set
    backwards = run(micrographs[::-1], pixel_sampling=3, store=tmp_path / "other").set
    np.testing.assert_array_equal(forwards.image(1), backwards.image(2))
    other_seed = run(micrographs, pixel_sampling=3, seed=1).set
    assert not np.array_equal(forwards.image(1), other_seed.image(1))


def test_second_call_reads_no_micrograph(
    run: Run, micrographs: list[MicrographFile], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(micrographs)
    assert (len(reads), first.reused) == (4, 0)
    monkeypatch.setattr(hashlib, "file_digest", None)
    done: list[tuple[int, int]] = []
    second = run(micrographs, progress=lambda *counts: done.append(counts))
    assert len(reads) == 4
    assert second.reused == 4
    assert second.set.directory == first.set.directory
    assert done == [(4, 4)]


def test_another_file_of_the_same_size_and_time_is_noticed(run: Run, micrographs: list[MicrographFile]) -> None:
    first = run(micrographs).set
    one, other = micrographs[0].path, micrographs[1].path
    for path in (one, other):
        os.utime(path, (1e9, 1e9))
    run(micrographs)
    aside = one.with_name("aside")  # as unpacking or `cp -p` leaves them: each at the other's place
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    swapped = run(micrographs).set
    np.testing.assert_array_equal(swapped.image(0), first.image(1))
    np.testing.assert_array_equal(swapped.image(1), first.image(0))
    before = one.stat()
    one.write_bytes(other.read_bytes())
    os.utime(one, ns=(before.st_atime_ns, before.st_mtime_ns))
    np.testing.assert_array_equal(run(micrographs).set.image(0), first.image(0))


def test_settings_without_effect_do_not_prepare_again(run: Run, micrographs: list[MicrographFile]) -> None:
    assert run(micrographs).reused == 0
    assert run(micrographs, seed=5, workers=2, skip_bad=True).reused == 4
    assert run(micrographs, method="affine").reused == 0
    assert run(micrographs, method="affine", iterations=7, pixel_sampling=3).reused == 4


@pytest.mark.parametrize("change", [{"downsample": 3}, {"iterations": 2}, {"pixel_sampling": 2}, {"method": "affine"}])
def test_settings_with_an_effect_make_another_set(
    run: Run, micrographs: list[MicrographFile], change: dict[str, Any]
) -> None:
    ordinary, changed = run(micrographs).set, run(micrographs, **change).set
    assert ordinary.fingerprint != changed.fingerprint
    assert not np.array_equal(ordinary.image(0), changed.image(0))


def test_moved_and_renamed_files_are_the_same_micrographs(
    run: Run, micrographs: list[MicrographFile], reads: list[str], tmp_path: Path
) -> None:
    run(micrographs)
    moved = tmp_path / "moved"
    moved.mkdir()
    for number, file in enumerate(micrographs):
        file.path.rename(moved / f"field_{number}.mrc")
    again = run(find_micrographs(str(moved)))
    assert again.reused == 4
    assert len(reads) == 4
    assert again.set.names == ("field_0", "field_1", "field_2", "field_3")
    assert again.set.paths[0] == str(moved / "field_0.mrc")


def test_changed_file_is_prepared_again(
    run: Run, micrographs: list[MicrographFile], reads: list[str], write_micrograph: Write
) -> None:
    first = run(micrographs)
    write_micrograph(micrographs[1].path, seed=99)
    second = run(micrographs)
    assert reads[4:] == ["mic_1"]
    assert second.reused == 3
    assert not np.array_equal(first.set.image(1), second.set.image(1))


def test_added_micrograph_copies_the_others(run: Run, micrographs: list[MicrographFile], reads: list[str]) -> None:
    fewer = run([micrographs[3], micrographs[0]])
    del reads[:]
    every = run(micrographs)
    assert reads == ["mic_1", "mic_2"]
    assert every.reused == 2
    np.testing.assert_array_equal(every.set.image(0), fewer.set.image(1))
    np.testing.assert_array_equal(every.set.image(3), fewer.set.image(0))
    assert every.set.names == ("mic_0", "mic_1", "mic_2", "mic_3")


def test_bad_micrograph_is_named_and_the_others_are_kept(
    run: Run, micrographs: list[MicrographFile], reads: list[str], write_micrograph: Write
) -> None:
    spoil(micrographs[1].path)
    with pytest.raises(InputError, match=r"mic_1\.mrc.*preprocess\.skip_bad=true"):
        run(micrographs)
    del reads[:]
    prepared = run(micrographs, skip_bad=True)
    assert reads == ["mic_1"]  # tried again: it might have been the disk
    assert prepared.reused == 3
    assert prepared.set.names == ("mic_0", "mic_2", "mic_3")
    assert list(prepared.skipped) == ["mic_1"]
    assert "not finite" in prepared.skipped["mic_1"]
    # What stands behind the one left out has moved up.
    alone = downsample(read_micrograph(micrographs[3].path), 4)
    fit = fit_mixture(alone)
    np.testing.assert_allclose(prepared.set.image(2), (alone - fit.mean) / fit.std, atol=1e-5)
    assert prepared.set.flat().size == prepared.set.shapes.prod(axis=1).sum()
    write_micrograph(micrographs[1].path, seed=1)
    assert run(micrographs).reused == 3


def test_bad_header_stops_before_the_work(run: Run, micrographs: list[MicrographFile], reads: list[str]) -> None:
    micrographs[2].path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"mic_2\.mrc"):
        run(micrographs)
    assert reads == []
    assert list(run(micrographs, skip_bad=True).skipped) == ["mic_2"]


def test_missing_file_is_named(run: Run, micrographs: list[MicrographFile]) -> None:
    micrographs[0].path.unlink()
    with pytest.raises(InputError, match=r"mic_0\.mrc.*No such file"):
        run(micrographs)
    assert list(run(micrographs, skip_bad=True).skipped) == ["mic_0"]


def test_file_that_belies_its_header_is_bad(
    run: Run, micrographs: list[MicrographFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "read_micrograph", lambda path: read_micrograph(path)[:-8])
    with pytest.raises(InputError, match="against its header"):
        run(micrographs)


def test_all_bad_is_an_error_even_when_skipping(
    run: Run, micrographs: list[MicrographFile], write_micrograph: Write
) -> None:
    for file in micrographs:
        file.path.write_bytes(b"no image")
    with pytest.raises(InputError, match="None of the 4 micrographs"):
        run(micrographs, skip_bad=True)
    for file in micrographs:
        write_micrograph(file.path, 0)
        spoil(file.path)
    with pytest.raises(InputError, match="None of the 4 micrographs"):
        run(micrographs, skip_bad=True)


def test_no_micrographs_is_an_error(run: Run) -> None:
    with pytest.raises(InputError, match=r"data\.micrographs"):
        run([])


def test_image_without_contrast_is_bad(run: Run, tmp_path: Path) -> None:
    image = np.arange(1600).reshape(40, 40) % 2
    write_mrc(tmp_path / "two.mrc", image, pixel_size_angstrom=None)
    with pytest.raises(InputError, match=r"two\.mrc.*two values"):
        run(find_micrographs(str(tmp_path / "two.mrc")), downsample=1)
    with pytest.raises(InputError, match=r"two\.mrc.*constant"):
        run(find_micrographs(str(tmp_path / "two.mrc")), downsample=4, method="affine")


def test_too_large_a_downsample_is_refused(run: Run, micrographs: list[MicrographFile]) -> None:
    with pytest.raises(InputError, match=r"preprocess\.downsample=10 leaves 6 rows and 9 columns"):
        run(micrographs, downsample=10)


@pytest.mark.parametrize(
    "wrong",
    [{"downsample": 0.5}, {"downsample": float("nan")}, {"iterations": 0}, {"pixel_sampling": 0}, {"method": "x"}],
)
def test_settings_out_of_range_are_named(run: Run, micrographs: list[MicrographFile], wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"preprocess\.{next(iter(wrong))}="):
        run(micrographs, **wrong)


def test_hot_pixels_are_warned_of(run: Run, micrographs: list[MicrographFile]) -> None:
    image = np.random.default_rng(0).normal(100, 10, (300, 300))
    image[7, 9] = 1e6
    write_mrc(micrographs[1].path, image, pixel_size_angstrom=None)
    with pytest.warns(PickeryWarning, match="1 of 4 micrographs hold pixels more than 50 standard .* in mic_1"):
        run(micrographs)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_leaves_nothing_taken_for_whole(
    run: Run, micrographs: list[MicrographFile], store: Path, error: type[BaseException]
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise error

    with pytest.raises(error):
        run(micrographs, progress=stop)
    assert set_folders(store) == []
    assert run(micrographs).reused == 0


def test_interrupted_pool_leaves_nothing_taken_for_whole(
    run: Run, micrographs: list[MicrographFile], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "POOL_PAYS_FROM_PIXELS", 0)

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(micrographs, workers=2, progress=stop)
    assert set_folders(store) == []


def test_leftovers_of_the_dead_are_removed(run: Run, micrographs: list[MicrographFile], store: Path) -> None:
    first = run(micrographs).set
    leftover = store / f".{first.fingerprint}.{BUILDER}"
    first.directory.rename(leftover)  # whole but for its name
    other = store / f".feed.{BUILDER}"
    other.mkdir()
    second = run(micrographs)
    assert second.reused == 0
    assert set_folders(store) == [second.set.directory.name]


def test_folder_being_built_is_left_alone(run: Run, micrographs: list[MicrographFile], store: Path) -> None:
    from filelock import FileLock

    (store / ".locks").mkdir(parents=True)
    (store / f".feed.{BUILDER}").mkdir()
    with FileLock(store / ".locks" / "feed.lock"):
        run(micrographs)
    assert f".feed.{BUILDER}" in set_folders(store)


def test_cut_set_is_prepared_again(run: Run, micrographs: list[MicrographFile], store: Path) -> None:
    first = run(micrographs)
    before = images_bytes(first)
    (first.set.directory / IMAGES_FILE).write_bytes(before[:-4])
    with pytest.raises(InputError, match="cut"):
        open_prepared(first.set.directory)
    again = run(micrographs)
    assert again.reused == 0
    assert images_bytes(again) == before
    assert set_folders(store) == [first.set.directory.name]


def test_full_disk_names_folder_and_setting(
    run: Run, micrographs: list[MicrographFile], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(work, "write_values", full)
    with pytest.raises(InputError, match=rf"{store} \(No space left on device\).*preprocess\.store"):
        run(micrographs)
    assert set_folders(store) == []


def test_too_little_space_is_told_before_the_work(
    run: Run, micrographs: list[MicrographFile], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(InputError, match=r"MB free.*preprocess\.store"):
        run(micrographs)
    assert reads == []


def test_store_that_cannot_be_made_is_named(run: Run, micrographs: list[MicrographFile], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/store \(Not a directory\).*preprocess\.store"):
        run(micrographs, store=tmp_path / "file" / "store")


def test_prepared_images_are_written_as_mrc(run: Run, micrographs: list[MicrographFile], tmp_path: Path) -> None:
    for _ in range(2):  # when they are made and when they are found made
        prepared = run(micrographs, write_mrc=tmp_path / "mrc").set
        for index, name in enumerate(prepared.names):
            path = tmp_path / "mrc" / prepared.directory.name / f"{name}.mrc"
            np.testing.assert_array_equal(read_micrograph(path), prepared.image(index))
            y_scale, x_scale = prepared.scale(index)
            assert read_header(path).pixel_size_angstrom == pytest.approx(1.5 * (x_scale + y_scale) / 2, rel=1e-5)
            path.unlink()


def test_written_images_never_replace_micrographs(run: Run, micrographs: list[MicrographFile], tmp_path: Path) -> None:
    folder = tmp_path / "mrc" / run(micrographs).set.directory.name
    folder.mkdir(parents=True)
    moved = [MicrographFile(file.name, file.path.rename(folder / file.path.name)) for file in micrographs]
    before = moved[0].path.read_bytes()
    with pytest.raises(InputError, match="would replace the micrograph"):
        run(moved, write_mrc=tmp_path / "mrc")
    assert moved[0].path.read_bytes() == before


def test_compressed_micrographs_and_equal_files_are_prepared(run: Run, tmp_path: Path, write_micrograph: Write) -> None:
    write_micrograph(tmp_path / "a.mrc", 0)
    (tmp_path / "b.mrc").write_bytes((tmp_path / "a.mrc").read_bytes())
    (tmp_path / "c.mrc.gz").write_bytes(gzip.compress((tmp_path / "a.mrc").read_bytes()))
    prepared = run(find_micrographs([str(tmp_path / name) for name in ("a.mrc", "b.mrc", "c.mrc.gz")])).set
    assert prepared.names == ("a", "b", "c")
    np.testing.assert_array_equal(prepared.image(0), prepared.image(1))
    np.testing.assert_array_equal(prepared.image(0), prepared.image(2))


def test_two_at_once_do_the_work_once(
    run: Run, micrographs: list[MicrographFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def slowly(path: Path) -> Any:
        reads.append(path)
        time.sleep(0.05)
        return read_micrograph(path)

    monkeypatch.setattr(formats, "read_micrograph", slowly)
    results: list[Prepared] = []
    threads = [threading.Thread(target=lambda: results.append(run(micrographs))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 4
    assert sorted(result.reused for result in results) == [0, 4, 4]


def test_two_processes_at_once_agree(run: Run, micrographs: list[MicrographFile], store: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from pickery.formats.micrographs import find_micrographs\n"
        "from pickery.preprocess import pool\n"
        "from pickery.preprocess.prepare import prepare\n"
        "if __name__ == '__main__':\n"
        "    pool.POOL_PAYS_FROM_PIXELS = 0\n"
        "    done = prepare(find_micrographs(sys.argv[1]), store=Path(sys.argv[2]), downsample=4, method='gmm',\n"
        "                   pixel_sampling=1, iterations=100, workers=2, skip_bad=False, seed=0)\n"
        "    print(done.reused, done.set.directory, 'torch' in sys.modules)\n"
    )
    command = [sys.executable, str(script), str(micrographs[0].path.parent), str(store)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(process.communicate(timeout=60)[0].split() for process in processes)
    folder = str(run(micrographs).set.directory)
    assert told == [["0", folder, "False"], ["4", folder, "False"]]
    assert set_folders(store) == [Path(folder).name]
