"""`pickery pick` as a whole: a model and micrographs in, files of picks out, and nothing done twice."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pickery.cli import main
from pickery.formats.micrographs import write_mrc
from pickery.formats.picks import read_picks
from pickery.picking import crew
from tests.conftest import TinyData
from tests.picking.conftest import write_model


@pytest.fixture
def words(tiny: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the settings of a picking in the current folder: a model with random weights, six micrographs."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model.ckpt")
    return ["picking.model=model.ckpt", f"data.micrographs={tiny.micrographs}", "picking.threads=1"]


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Remember the names of the micrographs that are scored."""
    names: list[str] = []
    scores = crew.pick_micrograph

    def remember(network, task, device):
        names.append(task.micrograph.stem)
        return scores(network, task, device)

    monkeypatch.setattr(crew, "pick_micrograph", remember)
    return names


def pick(words: list[str], *more: str, out: str = "picks.txt", status: int = 0) -> None:
    assert main(["pick", *words, f"picking.out={out}", *more]) == status


def rows(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))


def spots(source: str) -> set[tuple[str, float, float]]:
    """Give picks to 1e-3 pixels, by the names of their micrographs."""
    table = read_picks(source)
    names = (Path(name).stem for name in table.micrograph)
    return {(name, round(x, 3), round(y, 3)) for name, x, y in zip(names, table.x, table.y, strict=True)}


def test_the_same_picks_whatever_the_files(words, capsys):
    for out, more in (("a.txt", ()), ("a.star", ()), ("a.csv", ()), ("stars", ()), ("boxes", ("picking.format=box",))):
        pick(words, *more, out=out)
    first = spots("a.txt")
    assert len(first) > 100
    for source in ("a.star", "a.csv", "stars/autopick.star", "boxes"):
        assert spots(source) == first, source
    assert "RELION: Extract takes stars/autopick.star" in capsys.readouterr().out


def test_it_says_what_was_picked_and_where_it_is(words, capsys):
    pick(words)
    said = capsys.readouterr().out
    total = len(read_picks("picks.txt"))
    assert f"{total} picks on 6 micrographs, {total / 6:.1f} on average" in said
    assert "threshold  0.05 (the model's best held-out F1)" in said
    assert "radius     6 regions = 24 px, 48 Å (the model's)" in said
    assert "pickery score score.picks=picks.txt score.truth=TRUTH score.radius=24" in said
    table = rows("picks_details/micrographs.csv")
    assert sum(int(row["picks"]) for row in table) == total
    assert said.splitlines()[-1] in Path("picks_details/log.txt").read_text(encoding="utf-8")


def test_scores_are_kept_and_none_is_below_the_threshold(words):
    pick(words, "picking.threshold=0.06")
    scores = read_picks("picks.txt").score
    assert scores.min() >= 0.06
    pick(words, "picking.threshold=0.02", out="more.txt")
    assert spots("picks.txt") < spots("more.txt")


def test_another_threshold_or_format_takes_no_scoring(words, scored):
    pick(words)
    assert len(scored) == 6
    pick(words, "picking.threshold=0.06")
    pick(words, "picking.format=box", out="picks")
    assert len(scored) == 6


def test_its_own_file_is_replaced_by_whatever_path_and_a_changed_one_is_not(words, tmp_path, monkeypatch, capsys):
    pick(words)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    words[0] = f"picking.model={tmp_path / 'model.ckpt'}"
    pick(words, "picking.threshold=0.06", out="../picks.txt")
    pick(words, "picking.threshold=0.07", out=str(tmp_path / "picks.txt"))
    with (tmp_path / "picks.txt").open("a", encoding="utf-8") as file:
        file.write("simulated_0001\t1\t1\t9\n")
    pick(words, "picking.threshold=0.06", out="../picks.txt", status=1)
    assert "it is not as pickery pick wrote it" in capsys.readouterr().err


def test_a_second_call_does_only_what_is_missing(words, scored):
    pick(words)
    first = Path("picks.txt").read_bytes()
    files = sorted(Path("picks_details/candidates").glob("*/*.npz"))
    files[1].unlink()
    files[3].write_bytes(files[3].read_bytes()[:100])
    scored.clear()
    pick(words)
    assert len(scored) == 2
    assert Path("picks.txt").read_bytes() == first


@pytest.mark.parametrize("what", ["model", "micrograph", "radius", "threshold"])
def test_what_changed_is_done_again_and_nothing_is_mixed(words, tiny, scored, what):
    shutil.copytree(tiny.micrographs, "mine")
    words[1] = "data.micrographs=mine"
    pick(words)
    scored.clear()
    more, redone = (), 6
    if what == "model":
        write_model(Path("model.ckpt"), seed=4)
    elif what == "micrograph":
        shutil.copy("mine/simulated_0001.mrc", "mine/simulated_0002.mrc")
        redone = 1
    else:
        more = ({"radius": "picking.extraction_radius=4", "threshold": "picking.threshold=-9"}[what],)
    pick(words, *more)
    assert len(scored) == redone
    shutil.rmtree("picks_details/candidates")
    changed = Path("picks.txt").read_bytes()
    pick(words, *more)
    assert Path("picks.txt").read_bytes() == changed


def test_masks_and_margins_leave_areas_out_and_take_no_scoring(words, scored):
    pick(words)
    whole = spots("picks.txt")
    scored.clear()
    for right in (202, 102):  # between two regions, so that none is half masked
        corners = ((-9, -9), (right, -9), (right, 400), (-9, 400))
        mask = "image_name,polygon,x_coord,y_coord\n" + "".join(f"simulated_0002,a,{x},{y}\n" for x, y in corners)
        Path("masks.csv").write_text(mask, encoding="utf-8")
        pick(words, "data.masks=masks.csv")
        assert spots("picks.txt") == {spot for spot in whole if spot[0] != "simulated_0002" or spot[1] >= right}
        assert [row["masked"] for row in rows("picks_details/micrographs.csv")].count("yes") == 1
    pick(words, "picking.margin=50")
    assert spots("picks.txt") == {spot for spot in whole if min(spot[1:]) >= 50 and max(spot[1:]) <= 383 - 50}
    assert scored == []


def test_a_bad_micrograph_stops_the_program_or_is_left_out_and_listed(words, tiny, scored, capsys):
    shutil.copytree(tiny.micrographs, "mine")
    flat = np.zeros((384, 384), np.float32)
    write_mrc(Path("mine/simulated_0003.mrc"), flat, pixel_size_angstrom=2.0)
    Path("mine/simulated_0004.mrc").write_bytes(b"broken")
    words[1] = "data.micrographs=mine"
    pick(words, status=1)
    error = capsys.readouterr().err
    assert "simulated_0004" in error
    assert "picking.skip_bad=true leaves such micrographs out" in error
    assert not Path("picks.txt").exists()
    Path("mine/simulated_0004.mrc").unlink()
    pick(words, status=1)
    assert "simulated_0003.mrc is the same everywhere" in capsys.readouterr().err
    assert not Path("picks.txt").exists()
    scored.clear()
    pick(words, "picking.skip_bad=true")
    assert scored == ["simulated_0003"]  # the others were not lost
    reasons = {row["name"]: row["reason"] for row in rows("picks_details/micrographs.csv")}
    assert "same everywhere" in reasons["simulated_0003"]
    assert "left out simulated_0003" in capsys.readouterr().out


def test_a_folder_keeps_files_made_by_hand_and_loses_those_of_an_earlier_call(words, capsys):
    Path("picked").mkdir()
    by_hand = Path("picked/simulated_0002.box")
    by_hand.write_text("10 10 64 64\n")
    pick(words, "picking.format=box", out="picked", status=1)
    assert "simulated_0002.box is there already" in capsys.readouterr().err
    assert by_hand.read_text() == "10 10 64 64\n"
    by_hand.unlink()
    pick(words, "picking.format=box", out="picked")
    assert len(list(Path("picked").glob("*.box"))) == 6
    Path("picked/notes.txt").write_text("mine")
    pick(words, "picking.format=star", out="picked")
    assert not list(Path("picked").glob("*.box"))
    assert Path("picked/autopick.star").exists()
    assert Path("picked/notes.txt").exists()


def test_a_micrograph_smaller_than_a_patch_is_said_before_any_is_scored(words, tiny, scored, capsys):
    shutil.copytree(tiny.micrographs, "mine")
    small = np.random.default_rng(0).normal(size=(60, 60)).astype(np.float32)
    write_mrc(Path("mine/small.mrc"), small, pixel_size_angstrom=2.0)
    words[1] = "data.micrographs=mine"
    pick(words, status=1)
    assert "less than one patch of the model (31 x 31)" in capsys.readouterr().err
    assert scored == []
    pick(words, "picking.skip_bad=true")
    assert "small" not in {name for name, *_ in spots("picks.txt")}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("picking.model=nothing.ckpt",), "picking.model=nothing.ckpt"),
        (("data.micrographs=empty",), "empty"),
        (("data.micrographs=nowhere",), "nowhere"),
        (("picking.out=picks.sta",), "no kind of file of picks"),
        (("picking.out=picks.star", "picking.format=box"), "picking.format agree"),
        (("picking.out=picks.box",), "picking.out: picks.box would have the picks of 6 micrographs"),
        (("picking.out=model.ckpt/picks.star",), "model.ckpt"),
        (("picking.out=taken.star",), "it is not as pickery pick wrote it"),
        (("picking.out=taken.star/",), "taken.star"),
        (("picking.downsample=20",), "less than one patch of the model"),
        (("picking.downsample=300",), "picking.downsample=300"),
        (("picking.margin=300",), "picking.margin=300 leaves nothing"),
        (("data.masks=nowhere.csv",), "data.masks=nowhere.csv"),
        (("picking.accelerator=gpu",), "picking.accelerator=gpu"),
    ],
)
@pytest.mark.filterwarnings("ignore::pickery.errors.PickeryWarning")
def test_what_cannot_be_used_is_said_plainly(words, capsys, more, says):
    import torch

    if "gpu" in says and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    Path("empty").mkdir()
    Path("taken.star").write_text("by hand\n", encoding="utf-8")
    given = {word.partition("=")[0]: word for word in (*words, "picking.out=picks.txt")}
    given |= {word.partition("=")[0]: word for word in more}
    assert main(["pick", *given.values()]) == 1
    error = capsys.readouterr().err
    (line,) = [line for line in error.splitlines() if not line.startswith("warning: ")]
    assert says in line
    assert "mistake in Pickery" not in line
    assert Path("taken.star").read_text(encoding="utf-8") == "by hand\n"


def test_pictures_are_drawn_of_micrographs_spread_over_all(words, tiny):
    pick(words, "picking.pictures=2", "picking.margin=50")
    assert [path.name for path in sorted(Path("picks_details/pictures").iterdir())] == [
        "simulated_0002.png", "simulated_0005.png",
    ]  # fmt: skip


def test_micrographs_of_several_sizes_and_kinds_are_picked_together(words):
    rng = np.random.default_rng(0)
    Path("mine").mkdir()
    for name, shape in (("a", (300, 400)), ("b", (411, 203))):
        write_mrc(Path(f"mine/{name}.mrc"), rng.normal(size=shape).astype(np.float32), pixel_size_angstrom=2.0)
    words[1] = "data.micrographs=mine"
    pick(words, "picking.threshold=-6")
    for name, (height, width) in (("a", (300, 400)), ("b", (411, 203))):
        points = np.array([(x, y) for one, x, y in spots("picks.txt") if one == name])
        assert points.max(axis=0)[0] > 0.9 * width
        assert points.max(axis=0)[1] > 0.9 * height
        assert (points < (width, height)).all()


def test_the_help_says_that_filaments_are_not_supported(capsys):
    assert main(["pick", "--help", "picking"]) == 0
    assert "Filaments are not supported" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_picks_of_held_out_micrographs_are_those_of_the_runs_own_evaluation(tiny, tmp_path, monkeypatch):
    from pickery.evaluation.score_map import score_map
    from pickery.evaluation.suppression import suppress
    from pickery.picking.model import build_network, open_model
    from pickery.preprocess.store import open_prepared

    monkeypatch.chdir(tmp_path)
    assert main(["train", *tiny.overrides("run_dir=run", "preprocess.pixel_sampling=5", "seed=3")]) == 0
    summary = json.loads(Path("run/summary.json").read_text(encoding="utf-8"))
    pick(["picking.model=run", "data.micrographs=run/micrographs.csv", "picking.threads=1"])
    held_out = [row for row in rows("run/micrographs.csv") if row["set"] == "test"]
    picked = spots("picks.txt")
    names = {row["name"] for row in held_out}
    count = summary["picks"]["hits"] + summary["picks"]["extras"]
    assert sum(name in names for name, _, _ in picked) == count

    prepared = open_prepared(Path(held_out[0]["prepared"]))
    model = open_model("run", root=tmp_path, uri=None)
    for row in held_out:
        index = prepared.names.index(row["name"])
        scores = score_map(build_network(model.weights), prepared.image(index)).numpy()
        points, _ = suppress(scores, model.extraction_radius, model.threshold_best_f1)
        expected = {(row["name"], round(x, 3), round(y, 3)) for x, y in prepared.to_full(index, points).tolist()}
        assert {spot for spot in picked if spot[0] == row["name"]} == expected


@pytest.mark.slow
def test_several_processes_pick_the_same(words):
    pick(words)
    first = Path("picks.txt").read_bytes()
    shutil.rmtree("picks_details")
    Path("picks.txt").unlink()
    pick(words, "picking.workers=3")
    assert Path("picks.txt").read_bytes() == first


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


def begun(words: list[str], *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pickery", "pick", *words, "picking.out=picks.txt", *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def many(tiny: TinyData, words: list[str]) -> None:
    """Lay out micrographs enough to be interrupted among them."""
    Path("mine").mkdir()
    for number in range(4):
        for path in tiny.micrographs.iterdir():
            Path(f"mine/{path.stem}_{number}.mrc").symlink_to(path)
    words[1] = "data.micrographs=mine"


def wait_for(process: "subprocess.Popen[str]", count: int) -> None:
    while len(list(Path("picks_details").glob("candidates/*/*.npz"))) < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.002)


@pytest.mark.slow
@needs_signals
def test_killed_at_any_moment_it_goes_on_and_gives_the_same_picks(words, tiny):
    many(tiny, words)
    seed = random.randrange(2**32)
    generator = random.Random(seed)
    for count in (1, 9):
        with begun(words) as process:
            wait_for(process, count)
            time.sleep(generator.uniform(0, 0.02))
            os.killpg(process.pid, signal.SIGKILL)
    kept = len(list(Path("picks_details").glob("candidates/*/*.npz")))
    assert 9 <= kept <= 24, f"seed {seed}"
    pick(words)
    first = Path("picks.txt").read_bytes()
    shutil.rmtree("picks_details/candidates")
    pick(words)
    assert Path("picks.txt").read_bytes() == first, f"seed {seed}"


@pytest.mark.slow
@needs_signals
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 2)])
def test_asked_to_end_it_ends_its_workers_and_says_how_to_go_on(words, tiny, number, workers):
    many(tiny, words)
    with begun(words, f"picking.workers={workers}") as process:
        wait_for(process, 2)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "takes up where it stopped" in said
    assert "Traceback" not in said
    assert not list(Path("picks_details").glob("candidates/*/.*"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the worker in /proc")
def test_a_worker_that_dies_is_reported(words, tiny):
    many(tiny, words)
    with begun(words, "picking.workers=2") as process:
        wait_for(process, 1)
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                stat = path.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
                command = (path.parent / "cmdline").read_text(encoding="utf-8")
            except (OSError, IndexError):
                continue
            if int(stat[1]) == process.pid and "spawn_main" in command:
                os.kill(int(path.parent.name), signal.SIGKILL)
                break
        else:
            pytest.fail("there is no worker")
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "One of the 2 processes that pick was killed by signal 9, most likely for want of memory" in said
    assert "Traceback" not in said
