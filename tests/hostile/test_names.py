"""Micrographs under strange names go the whole way, from training to picks that are found again, or are refused."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pickery.cli import main
from pickery.formats.conversion import by_micrograph
from pickery.formats.micrographs import find_micrographs
from pickery.formats.picks import read_picks
from pickery.simulation.data_set import write_data_set
from pickery.simulation.settings import SimulationSettings
from tests.conftest import TinyData
from tests.test_bad_inputs import complaint

NAMES = [
    "two words",
    " blank before and after ",
    "a'b",
    'say "cheese"',
    "日本語 Gitter_für_Ä",
    "e\u0301 in two signs",
    "#1",
    "-rf",
    "*[a]?",
    "$(touch BAD); touch BAD",
    "$x^$ _{$y$",
    "a,b;c",
    "{x}=%s",
    "data_",
    "loop_",
    "\u200bno width\u3000wide",
    "\U0001f9ec",
    "mic..star",
    "L" * 238,  # with the longest of the endings, _autopick.star, 252 of the 255 bytes that a name may have
]
TOO_LONG = "L" * 251
REFUSED = ["line\nend", "tab\tin it", "bell\x07", "paragraph\u2029", "form\x0cfeed", "latin \udcfc"]


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate micrographs and give them strange names, in the table of picks too."""
    folder = tmp_path_factory.mktemp("strange names")
    settings = SimulationSettings(
        micrographs=len(NAMES),
        rows=256,
        columns=256,
        particles_per_micrograph=6,
        picked_fraction=1,
        carbon_probability=0,
    )
    write_data_set(folder / "data", settings)
    old = sorted((folder / "data" / "micrographs").iterdir())
    header, *rows = [line.split("\t") for line in (folder / "data" / "picks.txt").read_text().splitlines()]
    new = dict(zip((path.stem for path in old), NAMES, strict=True))
    for path in old:
        path.rename(path.with_name(f"{new[path.stem]}.mrc"))
    quoted = [['"' + new[name].replace('"', '""') + '"', *numbers] for name, *numbers in rows]
    text = "".join("\t".join(row) + "\n" for row in (header, *quoted))
    (folder / "data" / "picks.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(strange: Path) -> Path:
    """Train on them, in a folder that has a strange name itself."""
    run = strange / "run of 'them'"
    data = TinyData(strange / "data")
    words = data.overrides(
        f"data.micrographs='{data.micrographs}'",
        f"data.picks='{data.picks}'",
        "run_dir='" + str(run).replace("'", "\\'") + "'",
        f"preprocess.store='{strange / 'prepared'}'",
        "trainer.epochs=1",
        "data.expected_particles=6",
    )
    assert main(["train", *words]) == 0
    assert main(["report", "report.run='" + str(run).replace("'", "\\'") + "'"]) == 0
    return run


@pytest.mark.slow
def test_they_train_and_are_listed(trained: Path) -> None:
    listed = find_micrographs(str(trained / "micrographs.csv"))
    assert sorted(file.name for file in listed) == sorted(NAMES)
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert "日本語" in page
    assert json.loads((trained / "summary.json").read_text())["data"]["training_micrographs"]
    assert not list(trained.parent.rglob("BAD"))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["txt", "csv", "star", "cs"])
def test_their_picks_in_one_file_are_found_again(trained: Path, tmp_path: Path, ending: str, strange: Path) -> None:
    _picked(trained, tmp_path / f"picks.{ending}", strange)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*crYOLO's .cbox files also hold boxes")
@pytest.mark.parametrize("ending", ["txt", "csv", "star", "cs", "box", "json", "cbox"])
def test_their_picks_in_a_file_each_are_found_again(trained: Path, tmp_path: Path, ending: str, strange: Path) -> None:
    _picked(trained, tmp_path / "picks", strange, f"picking.format={ending}")


def _picked(trained: Path, out: Path, strange: Path, *more: str) -> None:
    """Pick everything, and find every pick again on its own micrograph."""
    model = "picking.model='" + str(trained / "model.ckpt").replace("'", "\\'") + "'"
    micrographs = strange / "data" / "micrographs"
    words = [model, f"data.micrographs='{micrographs}'", f"picking.out='{out}'", "picking.threshold=-100", *more]
    assert main(["pick", *words, "picking.workers=1"]) == 0
    source = str(out / "autopick.star") if (out / "autopick.star").exists() else str(out)
    table = read_picks(source)
    files = find_micrographs(str(micrographs))
    gathered = by_micrograph(table, files)
    assert not gathered.unmatched
    assert [Path(one.micrograph).stem for one in gathered.picks if len(one)] == [file.name for file in files]
    assert not list(out.parent.rglob("BAD"))


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_names_that_no_table_can_hold_are_refused(
    tmp_path: Path, tiny: TinyData, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny.micrographs, tmp_path / "mics")
    first = min((tmp_path / "mics").iterdir())
    first.rename(first.with_name(f"{name}.mrc"))
    said = complaint(tiny.overrides(f"data.micrographs={tmp_path / 'mics'}"), capsys)
    assert "give the file another name" in said
    assert said.isprintable()


def test_a_name_as_long_as_any_is_picked_or_refused_plainly(tmp_path: Path, tiny: TinyData) -> None:
    """Its file of picks cannot be called after it, as its ending is longer than the micrograph's."""
    from pickery.errors import InputError
    from pickery.formats.picks import MicrographPicks, write_picks

    (tmp_path / "mics").mkdir()
    os.link(min(tiny.micrographs.iterdir()), tmp_path / "mics" / f"{TOO_LONG}.mrc")
    (file,) = find_micrographs(str(tmp_path / "mics"))
    assert file.name == TOO_LONG
    import numpy as np

    picks = [MicrographPicks(file.name, np.ones((1, 2)), np.zeros(1), (384, 384), 2.0)]
    for ending in ("csv", "txt", "star", "cs"):
        write_picks(tmp_path / f"picks.{ending}", picks)
        assert read_picks(str(tmp_path / f"picks.{ending}")).micrograph == (TOO_LONG,)
    for ending in ("box", "txt", "csv"):
        write_picks(tmp_path / "out", picks, format=ending, box_size_px=10)
    for ending in ("star", "json", "cbox"):
        with pytest.raises(InputError, match="File name too long"):
            write_picks(tmp_path / "out", picks, format=ending, box_size_px=10)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_a_name_is_drawn_as_it_is_not_as_a_formula(tmp_path: Path) -> None:
    from pickery.plots.micrograph_scores import plot_micrograph_scores
    from pickery.plots.style import save_figure

    names = ["$x^$", "日本語", "\U0001f9ec", "a$b", "\\$"]
    figure = plot_micrograph_scores(names, *[[0.5] * len(names)] * 3)
    save_figure(figure, tmp_path / "scores.png")
    assert (tmp_path / "scores.png").stat().st_size > 0
