"""Micrographs and picks removed, changed or cut short: between two runs, and while one prepares them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pickery.cli import main
from pickery.errors import InputError
from pickery.formats.micrographs import find_micrographs, read_micrograph, write_mrc
from pickery.preprocess import build
from pickery.preprocess.prepare import prepare
from pickery.training import callbacks
from tests.conftest import TinyData

SETTINGS = {
    "downsample": 4, "method": "gmm", "pixel_sampling": 1, "iterations": 20, "workers": 1, "seed": 0,
}  # fmt: skip


def change(path: Path) -> None:
    write_mrc(path, read_micrograph(path)[::-1].copy(), pixel_size_angstrom=2.0)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


@pytest.fixture
def data(tiny: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyData:
    """Give a copy that may be spoiled, and an empty folder to run in."""
    shutil.copytree(tiny.folder, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return TinyData(tmp_path / "data")


def micrographs_of(data: TinyData) -> list[Path]:
    return sorted(data.micrographs.glob("*.mrc"))


def drop_a_pick(data: TinyData) -> None:
    *lines, _ = data.picks.read_text().splitlines()
    data.picks.write_text("\n".join(lines) + "\n")


OTHERS = "was made from other micrographs, picks, negatives or masks: give another run_dir for this one, or none"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: micrographs_of(data)[0].unlink(), "picks"),
        (lambda data: change(micrographs_of(data)[0]), OTHERS),
        (lambda data: cut(micrographs_of(data)[0]), "preprocess.skip_bad=true"),
        (drop_a_pick, OTHERS),
        (lambda data: data.picks.unlink(), "does not exist"),
    ],
    ids=["a micrograph removed", "a micrograph changed", "a micrograph cut short", "a pick less", "picks removed"],
)
def test_an_interrupted_run_does_not_go_on_with_other_data_and_does_with_its_own(
    data: TinyData,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[TinyData], None],
    says: str,
) -> None:
    words = ["train", *data.overrides("trainer.epochs=2")]
    assert main([*words, "run_dir=whole"]) == 0
    kept = shutil.copytree(data.folder, "kept")
    with monkeypatch.context() as patch:
        write = callbacks.write_metrics

        def interrupt(path, epochs):
            write(path, epochs)
            raise KeyboardInterrupt

        patch.setattr(callbacks, "write_metrics", interrupt)
        assert main([*words, "run_dir=run"]) == 130
    capsys.readouterr()
    begun = Path("run/metrics.csv").read_text()

    spoil(data)
    assert main([*words, "run_dir=run"]) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert Path("run/metrics.csv").read_text() == begun

    shutil.rmtree(data.folder)
    shutil.copytree(kept, data.folder)  # other times of change, the same content
    assert main([*words, "run_dir=run"]) == 0
    assert Path("run/metrics.csv").read_text() == Path("whole/metrics.csv").read_text()
    assert Path("run/summary.json").read_text() == Path("whole/summary.json").read_text()


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_micrograph_that_changes_while_it_is_prepared_is_not_kept_under_the_name_of_the_one_it_was(
    data: TinyData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, skip_bad: bool
) -> None:
    files = find_micrographs(str(data.micrographs / "*.mrc"), setting="data.micrographs")
    before = prepare(files, store=tmp_path / "before", skip_bad=False, **SETTINGS).set
    run_tasks = build.run_tasks

    def changed_first(tasks, **options):
        change(files[2].path)
        return run_tasks(tasks, **options)

    with monkeypatch.context() as patch:
        patch.setattr(build, "run_tasks", changed_first)
        if skip_bad:
            done = prepare(files, store=tmp_path / "store", skip_bad=True, **SETTINGS)
            assert done.skipped == {files[2].name: build._CHANGED}
        else:
            with pytest.raises(InputError, match=f"{files[2].path}: changed while it was being prepared"):
                prepare(files, store=tmp_path / "store", skip_bad=False, **SETTINGS)
    after = prepare(files, store=tmp_path / "store", skip_bad=False, **SETTINGS)
    assert after.reused == len(files) - 1
    for index in range(len(files)):
        same = np.array_equal(after.set.image(index), before.image(index))
        assert same == (index != 2)
    change(files[2].path)  # as it was
    back = prepare(files, store=tmp_path / "store", skip_bad=False, **SETTINGS).set
    assert np.array_equal(back.flat(), before.flat())


def test_a_micrograph_removed_while_others_are_prepared_is_named(
    data: TinyData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = find_micrographs(str(data.micrographs / "*.mrc"), setting="data.micrographs")
    run_tasks = build.run_tasks

    def removed_first(tasks, **options):
        files[2].path.unlink()
        return run_tasks(tasks, **options)

    with monkeypatch.context() as patch:
        patch.setattr(build, "run_tasks", removed_first)
        with pytest.raises(InputError, match=f"{files[2].path}.*Mend or remove"):
            prepare(files, store=tmp_path / "store", skip_bad=False, **SETTINGS)
    left = [file for file in files if file.path.exists()]
    assert prepare(left, store=tmp_path / "store", skip_bad=False, **SETTINGS).reused == len(left)
