"""`pickery score` as it is called, and against what a run says of itself."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from pickery.cli import main
from tests.conftest import TinyData


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(path, rows):
    columns = ("image_name", "x_coord", "y_coord", "score")[: len(rows[0])]
    Path(path).write_text("\n".join("\t".join(map(str, row)) for row in [columns, *rows]) + "\n", encoding="utf-8")


@pytest.fixture
def files():
    """Thirty particles on three micrographs; two thirds are found, with noise, and as many extras."""
    rng = np.random.default_rng(5)
    truth, picks = [], []
    for name in ("mic_1", "mic_2", "mic_3"):
        points = np.stack(np.meshgrid(np.arange(5) * 80 + 40, np.arange(2) * 80 + 40), axis=-1).reshape(-1, 2)
        truth += [(name, x, y) for x, y in points]
        found = points[rng.permutation(10)[:7]] + rng.normal(scale=2, size=(7, 2))
        picks += [(name, *xy, 3 + score) for xy, score in zip(found, rng.normal(size=7), strict=True)]
        picks += [(name, *rng.uniform(500, 900, 2), rng.normal()) for _ in range(7)]
    table("truth.txt", truth)
    table("picks.txt", picks)
    return picks


LINE = ["score", "score.picks=picks.txt", "score.truth=truth.txt", "score.radius=20"]


def rows_of(path):
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(folder="out"):
    return json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))


def test_a_score_is_told_tabled_and_drawn(files, capsys):
    assert main([*LINE, "score.out=out", "score.pixel_size=1.5"]) == 0
    said = capsys.readouterr().out
    assert "42 picks against 30 particles of 3 micrographs, within 20.0 px (30.0 Å)" in said
    assert "lower bounds" in said
    assert "mic_2" in said
    figures = summary()["picks"]
    assert f"average precision {figures['pick_average_precision']:.3f}" in said
    assert figures["hits"] + figures["misses"] == 30
    assert figures["pick_centre_error_angstrom"] == pytest.approx(1.5 * figures["pick_centre_error_px"])
    rows = rows_of("out/micrographs.csv")
    assert [row["micrograph"] for row in rows] == ["mic_1", "mic_2", "mic_3"]
    assert sum(int(row["hits"]) for row in rows) == figures["hits"]
    assert {path.name for path in Path("out/plots").iterdir()} == {
        "precision_recall.png",
        "micrographs.png",
        "centre_offsets.png",
        "scores.png",
    }


def test_the_same_command_writes_to_the_same_folder_of_its_own(files, capsys):
    assert main(LINE) == main(LINE) == 0
    (folder,) = Path("scores").iterdir()
    assert f"folder     {folder}" in capsys.readouterr().out
    first = (folder / "summary.json").read_bytes()
    assert main(LINE) == 0
    assert (folder / "summary.json").read_bytes() == first


def test_picks_without_scores_have_no_curve(files, capsys):
    table("picks.txt", [row[:3] for row in files])
    assert main([*LINE, "score.out=out", "score.threshold=1"]) == 0
    said = capsys.readouterr()
    assert "average precision 0" not in said.out
    assert "the picks have no scores: average precision" in said.out
    assert "score.threshold=1 has no effect on picks without scores" in said.out
    assert summary()["picks"]["pick_average_precision"] is None
    assert not Path("out/plots/precision_recall.png").exists()


def test_a_score_of_scored_picks_leaves_no_plots_behind_for_one_of_unscored(files):
    assert main([*LINE, "score.out=out"]) == 0
    assert Path("out/plots/scores.png").exists()
    table("picks.txt", [row[:3] for row in files])
    assert main([*LINE, "score.out=out"]) == 0
    assert not Path("out/plots/scores.png").exists()


def test_many_micrographs_are_told_by_the_worst(capsys):
    table("truth.txt", [(f"m{n:03}", 10, 10) for n in range(60)])
    table("picks.txt", [(f"m{n:03}", 10 + 40 * (n == 17), 10, n) for n in range(60)])
    assert main([*LINE, "score.out=out"]) == 0
    said = capsys.readouterr().out
    assert "the 5 micrographs with the lowest F1" in said
    assert said.count("\n  m0") == 5
    assert "m017" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["score.picks=picks.txt", "score.truth=truth.txt"], "score.radius is missing: give it in pixels"),
        (["score.picks=picks.txt", "score.radius=3"], "score.truth is missing"),
        (["score.truth=truth.txt", "score.radius=3"], "score.picks is missing"),
        ([*LINE[1:3], "score.particle_diameter=90"], "no file says the pixel size"),
        ([*LINE[1:], "score.flip_y=true"], "give the micrographs as score.micrographs"),
        ([*LINE[1:3], "score.radius=0"], "score.radius=0"),
        ([*LINE[1:], "score.out=picks.txt"], "score.out=picks.txt is a file"),
    ],
)
def test_what_cannot_be_scored_is_said_in_a_line(files, words, said, capsys):
    assert main(["score", *words]) != 0
    errors = capsys.readouterr().err
    assert said in errors
    assert "Traceback" not in errors


def test_a_diameter_beside_a_radius_warns_that_it_does_nothing(files, capsys):
    assert main([*LINE, "score.out=out", "score.particle_diameter=90"]) == 0
    assert "score.particle_diameter=90 has no effect with score.radius" in capsys.readouterr().err


@pytest.mark.slow
def test_a_score_of_a_runs_held_out_picks_is_what_the_run_says_of_itself(tiny: TinyData):
    from pickery.evaluation.score_map import score_map
    from pickery.evaluation.suppression import suppress
    from pickery.model.weights import load_model
    from pickery.preprocess.store import open_prepared

    assert (
        main(["train", *tiny.overrides("run_dir=run", "model.units=8", "trainer.epochs=6", "sampler.epoch_size=40")])
        == 0
    )
    said = json.loads(Path("run/summary.json").read_text(encoding="utf-8"))["picks"]
    model, content = load_model(Path("run/model.ckpt"))
    rows = [row for row in rows_of("run/micrographs.csv") if row["set"] == "test"]
    prepared = open_prepared(rows[0]["prepared"]).select([row["name"] for row in rows])
    picks = []
    for index, name in enumerate(prepared.names):
        scores = score_map(model, np.array(prepared.image(index))).numpy()
        points, values = suppress(
            scores, content["picking"]["extraction_radius"], content["picking"]["score_threshold"]
        )
        found = prepared.to_full(index, points)
        picks += [(name, float(x), float(y), float(score)) for (x, y), score in zip(found, values, strict=True)]
    table("picks.txt", picks)
    held_out = {row["name"] for row in rows}
    lines = tiny.picks.read_text(encoding="utf-8").splitlines()
    kept = [lines[0], *(line for line in lines[1:] if line.split("\t")[0] in held_out)]
    Path("truth.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")
    radius = content["picking"]["match_radius"] * prepared.scale(0)[0]
    assert (
        main(["score", "score.picks=picks.txt", "score.truth=truth.txt", f"score.radius={radius}", "score.out=out"])
        == 0
    )
    figures = summary()["picks"]
    assert figures["hits"] > 0
    for name in ("hits", "misses", "extras"):
        assert figures[name] == said[name]
    for name in ("average_precision", "f1", "threshold", "precision", "recall", "centre_error_px"):
        assert figures[f"pick_{name}"] == pytest.approx(said[f"pick_{name}"], rel=1e-6), name


@pytest.mark.skipif("PICKERY_REFERENCE" not in os.environ, reason="PICKERY_REFERENCE is not set")
def test_files_of_four_programs_with_the_same_points_score_one_against_each_other():
    folder = Path(os.environ["PICKERY_REFERENCE"]) / "data" / "apoferritin"
    names = ["picks.txt", "picks.star", "picks.cs", "box"]
    for picks, truth in zip(names, names[1:] + names[:1], strict=True):
        line = [f"score.picks={folder / picks}", f"score.truth={folder / truth}", "score.radius=2", "score.out=out"]
        assert main(["score", *line]) == 0
        figures = summary()["picks"]
        assert (figures["hits"], figures["misses"], figures["extras"]) == (2455, 0, 0), (picks, truth)
        assert figures["pick_centre_error_px"] < 1e-3, (picks, truth)
