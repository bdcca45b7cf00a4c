"""The doctor on simulated micrographs, right and with each thing wrong that users meet."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pickery.cli import main
from pickery.formats.assignment import coordinates_of
from pickery.formats.micrographs import find_micrographs
from pickery.formats.picks import read_picks
from tests.doctor.conftest import SIDE, Data

DIAMETER_PX = 65.0
Xy = np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rewritten(data: Data, change: Callable[[Xy], Xy], name: Callable[[str], str] = str) -> Path:
    """Write the picks anew, their coordinates or the micrographs' names changed."""
    files = find_micrographs(str(data.micrographs))
    lines = ["image_name\tx_coord\ty_coord"]
    for micrograph, xy in coordinates_of(read_picks(str(data.picks)), files).items():
        lines += [f"{name(micrograph)}\t{x:.6g}\t{y:.6g}" for x, y in change(xy)]
    path = Path("changed.txt").resolve()
    path.write_text("\n".join(lines) + "\n")
    return path


def doctor(data: Data, *words: str, picks: Path | None = None, measure: bool = False) -> tuple[int, dict[str, Any]]:
    """Run the doctor; gives its exit status and what it wrote."""
    given = [
        f"data.micrographs={data.micrographs}",
        f"data.picks={picks or data.picks}",
        "data.expected_particles=14",
        "data.particle_diameter=130",
        f"doctor.measure={str(measure).lower()}",
        "doctor.out=out",
    ]
    taken = {word.partition("=")[0] for word in words}
    status = main(["doctor", *(word for word in given if word.partition("=")[0] not in taken), *words])
    return status, json.loads(Path("out/doctor.json").read_text()) if Path("out/doctor.json").exists() else {}


def mending(found: dict[str, Any]) -> list[str]:
    return [word for finding in found["findings"] if finding["level"] == "fault" for word in finding["settings"]]


def test_what_is_right_is_called_right(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = doctor(data)
    assert status == 0
    assert mending(found) == []
    assert found["placement"]["verdict"] == "good"
    assert found["micrographs"]["readable"] == 6
    assert found["micrographs"]["sizes"] == {"512x512": 6}
    assert found["micrographs"]["pixel_size_angstrom"] == 2.0
    assert found["sizes"]["chosen"] == {
        "preprocess.downsample": 4.0,
        "data.radius": 2,
        "model.architecture": "resnet8",
    }
    assert found["particles"]["expected"] == 14
    said = capsys.readouterr().out
    for text in (
        "6 of 512 × 512 pixels",
        "sit on particles",
        "for particles of 130 Å at 2 Å a pixel:",
        "nothing stands",
    ):
        assert text in said
    assert {path.name for path in Path("out").iterdir()} == {"doctor.json", "overlay.png", "mean_patches.png"}


FAULTS: dict[str, tuple[Callable[[Xy], Xy], list[str]]] = {
    "flipped": (lambda xy: np.column_stack((xy[:, 0], SIDE - 1 - xy[:, 1])), ["data.flip_y=true"]),
    "mirrored": (lambda xy: np.column_stack((SIDE - 1 - xy[:, 0], xy[:, 1])), ["data.flip_x=true"]),
    "transposed": (lambda xy: xy[:, ::-1], ["data.swap_xy=true"]),
    "scaled": (lambda xy: xy / 4, ["data.coordinate_scale=4"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_coordinates_that_are_written_otherwise_are_named(
    data: Data, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, settings = FAULTS[fault]
    picks = rewritten(data, change)
    status, found = doctor(data, picks=picks)
    assert status == 1
    assert mending(found) == settings
    captured = capsys.readouterr()
    assert "FAULT        the picks do not sit on particles as they are read" in captured.out
    assert f"pickery: 1 fault; the same command with {' '.join(settings)}" in captured.err
    status, found = doctor(data, *settings, picks=picks)
    assert status == 0


def test_of_several_faults_it_is_said_which_settings_mend_how_many(
    data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    change, settings = FAULTS["flipped"]
    status, found = doctor(data, "data.expected_particles=100000", picks=rewritten(data, change))
    assert status == 1
    assert [finding["settings"] for finding in found["findings"] if finding["level"] == "fault"] == [settings, []]
    assert f"pickery: 2 faults; 1 of them mended by the same command with {settings[0]}\n" in capsys.readouterr().err


def test_picks_beside_particles_are_named_with_the_way_back(data: Data) -> None:
    picks = rewritten(data, lambda xy: xy + np.array([DIAMETER_PX / 2, 0]))
    status, found = doctor(data, picks=picks)
    assert status == 1
    (setting,) = mending(found)
    x, y = (float(part) for part in setting.removeprefix("data.offset=[").rstrip("]").split(","))
    assert abs(x + DIAMETER_PX / 2) < 4
    assert abs(y) < 4
    assert doctor(data, setting, picks=picks)[0] == 0


def test_names_that_differ_are_named_with_what_to_ignore(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    picks = rewritten(data, lambda xy: xy, lambda name: f"{name}_DW_patch")
    status, found = doctor(data, picks=picks)
    assert status == 1
    assert mending(found) == ["data.ignore_in_names=_DW_patch"]
    assert found["placement"]["verdict"] == "good"
    assert "nearest: " in capsys.readouterr().out
    assert doctor(data, *mending(found), picks=picks)[0] == 0


def test_several_faults_are_all_named(data: Data) -> None:
    picks = rewritten(data, lambda xy: xy[:, ::-1] / 2, lambda name: f"old_{name}")
    status, found = doctor(data, "data.expected_particles=null", picks=picks)
    assert status == 1
    assert mending(found) == [
        "data.ignore_in_names=old_",
        "data.coordinate_scale=2",
        "data.swap_xy=true",
        "data.expected_particles=NUMBER",
    ]


def test_picks_of_other_micrographs_are_said_to_be_so(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    Path("others.txt").write_text("image_name\tx_coord\ty_coord\nzzz\t5\t5\n")
    status, found = doctor(data, picks=Path("others.txt").resolve())
    assert status == 1
    assert "1 of the 1 names in the picks are no micrograph's: zzz (nearest: none)" in capsys.readouterr().out
    assert "placement" not in found


def test_what_cannot_be_read_is_counted_and_the_rest_examined(data: Data) -> None:
    shutil.copytree(data.micrographs, "copy")
    first = sorted(Path("copy").iterdir())[0]
    first.write_bytes(first.read_bytes()[:2000])
    status, found = doctor(data, "data.micrographs=copy")
    assert status == 1
    assert found["micrographs"]["readable"] == 5
    assert mending(found) == ["preprocess.skip_bad=true"]
    assert found["placement"]["verdict"] == "good"


def test_what_is_missing_altogether_is_one_fault(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = doctor(data, "data.micrographs=nowhere")
    assert status == 1
    assert [finding["about"] for finding in found["findings"]] == ["micrographs"]
    assert "nowhere" in capsys.readouterr().out


def test_numbers_that_contradict_each_other_are_advised_on(data: Data) -> None:
    _, found = doctor(data, "data.expected_particles=3", "preprocess.downsample=1", "data.radius=40")
    advice = {finding["about"] for finding in found["findings"] if finding["level"] == "advice"}
    assert advice >= {"particles", "sizes"}


def test_particles_are_counted_where_asked(data: Data) -> None:
    status, found = doctor(data, "data.expected_particles=auto")
    assert status == 0
    assert found["count"]["lowest"] <= 12 * 1.3
    assert found["count"]["particles"] == pytest.approx(12, rel=0.4)
    assert found["particles"]["expected"] == pytest.approx(found["count"]["particles"], abs=0.1)


def test_a_folder_of_something_else_is_not_written_to(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("precious")
    assert doctor(data)[0] == 1
    assert "doctor.out=out holds something else" in capsys.readouterr().err


@pytest.mark.slow
def test_time_and_memory_are_measured(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = doctor(
        data, "model=conv31", "model.units=4", "trainer.accelerator=cpu", "trainer.threads=1", measure=True
    )
    assert status == 0
    cost = found["cost"]
    assert 0 < cost["held_out_s"] < cost["final_s"]
    assert cost["total_s"] > 10_000 * cost["step_s"]
    assert 1e8 < cost["memory_bytes"] < 4e9
    assert "s a minibatch on 1 CPU thread" in capsys.readouterr().out


@pytest.mark.slow
def test_the_embedded_data_set_is_right_too() -> None:
    assert main(["doctor", "doctor.measure=false", "doctor.out=out", "preprocess.store=prepared"]) == 0
    assert json.loads(Path("out/doctor.json").read_text())["placement"]["verdict"] == "good"


def test_what_is_held_out_apart_is_examined_too(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, chosen in (("train", slice(0, 4)), ("test", slice(4, 6))):
        Path(folder).mkdir()
        for path in sorted(data.micrographs.iterdir())[chosen]:
            (Path(folder) / path.name).symlink_to(path)
    words = ("data.micrographs=train", "data.test_micrographs=test", f"data.test_picks={data.picks}")
    status, found = doctor(data, *words)
    assert status == 0
    assert found["held_out"]["micrographs"] == 2
    assert "2 micrographs given apart, with " in capsys.readouterr().out
    status, found = doctor(data, *words[:2], "data.test_picks=nothing.star")
    assert status == 1
    assert any(finding["text"].startswith("held out: ") for finding in found["findings"])
    status, found = doctor(data, *words[:2], f"data.test_picks={rewritten(data, FAULTS['transposed'][0])}")
    assert status == 1
    (fault,) = [finding for finding in found["findings"] if finding["level"] == "fault"]
    assert "with x and y exchanged" in fault["text"]
    assert "data.swap_xy=true would hold for data.picks too" in fault["text"]


def test_bad_micrographs_that_may_be_left_out_are_no_fault(data: Data) -> None:
    shutil.copytree(data.micrographs, "copy")
    first = sorted(Path("copy").iterdir())[0]
    first.write_bytes(first.read_bytes()[:2000])
    status, found = doctor(data, "data.micrographs=copy", "preprocess.skip_bad=true")
    assert status == 0
    assert any("cannot be read" in finding["text"] for finding in found["findings"])


def test_picks_on_unreadable_micrographs_alone_are_a_fault(data: Data) -> None:
    shutil.copytree(data.micrographs, "copy")
    first = sorted(Path("copy").iterdir())[0]
    first.write_bytes(first.read_bytes()[:2000])
    Path("p.txt").write_text(f"image_name\tx_coord\ty_coord\n{first.stem}\t5\t5\n")
    status, found = doctor(data, "data.micrographs=copy", picks=Path("p.txt").resolve())
    assert status == 1
    assert "none of the 1 picks is on a micrograph that can be read" in [one["text"] for one in found["findings"]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("model.pretrained=nope.ckpt",), "no such file"),
        (("model=conv31", "model.pretrained=nope.ckpt"), "no such file"),
        (("engine=topaz", "engine.executable=nope", "sampler=patches"), "nope"),
        (("preprocess.downsample=7", "model=resnet8"), "of model=resnet8 (75 x 75): downsample less"),
    ],
)
def test_what_would_stop_the_training_is_a_fault(data: Data, words: tuple[str, ...], says: str) -> None:
    status, found = doctor(data, *words)
    assert status == 1
    faults = [one for one in found["findings"] if one["level"] == "fault"]
    assert [says in one["text"] for one in faults] == [True], faults
    assert "data.pixel_size=SIZE" not in mending(found)


def test_coordinates_in_angstrom_are_named(data: Data) -> None:
    picks = rewritten(data, lambda xy: xy * 2.0)
    assert mending(doctor(data, picks=picks)[1]) == ["data.coordinate_scale=0.5"]


def test_a_file_of_picks_that_says_another_size_of_its_micrographs_is_named(data: Data) -> None:
    dtype = [
        ("uid", "<u8"),
        ("location/micrograph_path", "S80"),
        ("location/micrograph_shape", "<u4", (2,)),
        ("location/center_x_frac", "<f4"),
        ("location/center_y_frac", "<f4"),
    ]
    rows = []
    for name, xy in coordinates_of(read_picks(str(data.picks)), find_micrographs(str(data.micrographs))).items():
        rows += [(len(rows), f"J1/{name}.mrc".encode(), (1024, 1024), *(point / SIDE)) for point in xy]
    with Path("picks.cs").open("wb") as file:
        np.save(file, np.array(rows, dtype=dtype))
    status, found = doctor(data, picks=Path("picks.cs").resolve())
    assert status == 1
    assert any("at 1024 × 1024 pixels" in f["text"] and "coordinate_scale=0.5" in f["text"] for f in found["findings"])
