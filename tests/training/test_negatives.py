"""Trainings with masks and known negatives, on planted data."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pickery.config.load import load
from pickery.errors import InputError, PickeryWarning
from pickery.formats.micrographs import write_mrc
from pickery.training.division import TrainingData, gather
from pickery.training.listener import Silence
from pickery.training.run_folder import default_folder, identity
from pickery.training.sizes import provisional
from tests.training.whole_runs import run

SIDE, COUNT = 192, 4


@dataclass(frozen=True)
class Planted:
    """Four micrographs with particles, of which half are picked, and look-alikes, all known to be wrong."""

    folder: Path
    particles: dict[str, np.ndarray]
    look_alikes: dict[str, np.ndarray]

    def words(self, *more: str) -> list[str]:
        """Give the settings of a training of seconds."""
        settings = {
            "data.micrographs": self.folder / "micrographs",
            "data.picks": self.folder / "picks.txt",
            "data.expected_particles": 8,
            "data.test_fraction": 0.25,
            "preprocess.downsample": 2,
            "preprocess.workers": 1,
            "preprocess.store": self.folder / "prepared",
            "model": "conv31",
            "model.units": 4,
            "sampler": "patches",
            "sampler.minibatch_size": 32,
            "sampler.epoch_size": 80,
            "optimizer.learning_rate": 0.005,
            "trainer.epochs": 1,
            "trainer.threads": 1,
            "trainer.accelerator": "cpu",
            "tracking": "off",
        }
        given = {word.split("=", 1)[0] for word in more}
        return [f"{name}={value}" for name, value in settings.items() if name not in given] + list(more)

    @property
    def negatives(self) -> str:
        return f"data.negatives={self.folder / 'look_alikes.txt'}"

    @property
    def masks(self) -> str:
        return f"data.masks={self.folder / 'masks'}"


def write_table(path: Path, points: dict[str, np.ndarray]) -> None:
    rows = [f"{name}\t{x:.0f}\t{y:.0f}" for name, places in points.items() for x, y in places]
    path.write_text("\n".join(["image_name\tx_coord\ty_coord", *rows]) + "\n")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Draw discs on a jittered grid, eight of them particles, eight a little brighter."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(0)
    (folder / "micrographs").mkdir()
    y, x = np.mgrid[:SIDE, :SIDE]
    particles, look_alikes = {}, {}
    for index in range(COUNT):
        cells = rng.permutation([(column, row) for row in range(4) for column in range(4)])
        places = cells * 44 + 30 + rng.integers(-6, 7, (16, 2))
        image = rng.normal(0, 1, (SIDE, SIDE))
        for place, (px, py) in enumerate(places):
            distance = np.hypot(x - px, y - py)
            image += (1 if place < 8 else 1.4) * (distance < 9)
        write_mrc(folder / f"micrographs/mic_{index}.mrc", image.astype(np.float32), pixel_size_angstrom=None)
        particles[f"mic_{index}"], look_alikes[f"mic_{index}"] = places[:8], places[8:]
    write_table(folder / "picks.txt", {name: places[:4] for name, places in particles.items()})
    write_table(folder / "look_alikes.txt", look_alikes)
    masks = folder / "masks"
    masks.mkdir()
    corner = np.zeros((SIDE, SIDE), np.float32)
    corner[:80, :100] = 1
    for name in particles:
        write_mrc(masks / f"{name}_mask.mrc", corner, pixel_size_angstrom=None)
    return Planted(folder, particles, look_alikes)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def data_of(words: list[str]) -> TrainingData:
    return gather(load("train", words), Silence())  # type: ignore[arg-type]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / name).read_text().splitlines()))


def advantage(folder: Path, planted: Planted) -> float:
    """Give how much higher the model scores held-out particles than look-alikes, on average."""
    from pickery.evaluation.score_map import score_map
    from pickery.model.weights import load_model

    model, _ = load_model(folder / "model.ckpt")
    data = data_of(planted.words())
    held_out = data.labelled(data.test)
    means = []
    for index, name in enumerate(data.test):
        scores = np.asarray(score_map(model.eval(), held_out.image(index)))
        for points, sign in ((planted.particles[name], 1), (planted.look_alikes[name], -1)):
            x, y = np.round(points / 2).astype(int).T
            means.append(sign * scores[y, x].mean())
    return float(np.sum(means) / len(data.test))


@pytest.mark.parametrize(
    "loss", ["ge_binomial", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ge_kl", "pn", "pu"))]
)
def test_known_negatives_lower_the_scores_of_their_like(loss: str, planted: Planted) -> None:
    without = run(planted.words(f"loss={loss}", "run_dir=without"))
    taught = run(planted.words(f"loss={loss}", "run_dir=taught", planted.negatives))
    assert advantage(taught, planted) > advantage(without, planted) + 0.5
    assert "train_objective_negative" in rows_of(taught, "metrics.csv")[0]
    assert "train_objective_negative" not in rows_of(without, "metrics.csv")[0]


def test_a_run_says_how_many_negatives_it_has_and_how_much_is_masked(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    words = planted.words(planted.negatives, planted.masks, "sampler.epoch_size=2")
    folder = run(words)
    told = capsys.readouterr().out
    data = data_of(words)
    covered = {name: (xy[:, 0] < 100) & (xy[:, 1] < 80) for name, xy in planted.look_alikes.items()}
    left = {name: int((~mask).sum()) for name, mask in covered.items()}
    expected = sum(left[name] for name in data.train)
    assert f"{expected} known negatives on the training micrographs" in told
    assert f"{left[data.test[0]]} on held-out ones, not used" in told
    assert "masks leave out 21.7 % of the area, on 4 of 4 micrographs" in told
    assert "lie in masked areas (data.masks; most in" in told
    described = summary(folder)["data"]
    assert described["training_negatives"] == expected
    assert described["training_masked_fraction"] == described["test_masked_fraction"] == 40 * 50 / 96**2
    for row in rows_of(folder, "micrographs.csv"):
        assert int(row["negatives"]) == left[row["name"]]
        assert float(row["masked_fraction"]) == pytest.approx(40 * 50 / 96**2, rel=1e-3)


def test_masked_regions_count_nowhere_and_the_picks_there_are_left_out(planted: Planted) -> None:
    from pickery.loss.prior import expected_pi
    from pickery.training.choices import pi_of

    data = data_of(planted.words(planted.masks))
    for names in (data.train, data.test):
        micrographs = data.labelled(names)
        regions = micrographs.regions()
        open_regions = len(names) * (96**2 - 40 * 50)
        assert micrographs.region_count == len(regions.unmasked) == open_regions
        assert pi_of(data, micrographs) == expected_pi(8, len(names), 29, open_regions)
        assert regions.observed == len(regions.positives) / open_regions
        for index, name in enumerate(names):
            mask = micrographs.mask(index)
            assert mask is not None
            assert mask[:40, :50].all()
            assert mask.sum() == 40 * 50
            assert not (micrographs.labels(index) & mask).any()
            given = planted.particles[name][:4]
            assert data.points[name].tolist() == given[(given[:, 0] >= 100) | (given[:, 1] >= 80)].tolist()


def test_neither_an_epoch_nor_the_end_of_a_run_picks_in_a_mask(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pickery.evaluation.matching import pick_metrics

    picked = []

    def watched(predictions: Any, *rest: Any, **more: Any) -> Any:
        picked.extend(predictions)
        return pick_metrics(predictions, *rest, **more)

    monkeypatch.setattr("pickery.training.held_out.pick_metrics", watched)
    run(planted.words(planted.masks, "evaluation.monitor=pick_f1", "sampler.epoch_size=2"))
    assert len(picked) == 2
    for points in picked:
        assert len(points)
        assert not ((points[:, 0] < 50) & (points[:, 1] < 40)).any()


def test_a_micrograph_whose_picks_are_all_masked_was_looked_at_and_trains(planted: Planted) -> None:
    words = ["data.masks=masks", "data.unpicked=drop", "data.test_fraction=0.34"]
    name = data_of(planted.words(*words[1:])).train[0]
    pixels = np.ones((SIDE, SIDE), np.float32)
    pixels[:16, :16] = 0  # masks that leave nothing are refused
    write_mrc(Path(f"masks/{name}.mrc"), pixels, pixel_size_angstrom=None)
    data = data_of(planted.words(*words))
    assert len(data.points[name]) == 0
    assert name in data.train
    assert name not in data.skipped


def test_masks_that_leave_no_pick_are_an_error_that_names_them(planted: Planted) -> None:
    everywhere = np.ones((SIDE, SIDE), np.float32)
    everywhere[:20] = 0
    for index in range(COUNT):
        write_mrc(Path(f"masks/mic_{index}.mrc"), everywhere, pixel_size_angstrom=None)
    with pytest.warns(PickeryWarning, match="recommended"), pytest.raises(InputError, match=r"data\.masks"):
        run(planted.words("data.masks=masks", "data.test_fraction=0", "preprocess.downsample=1"))


def test_where_discs_overlap_regions_are_positive_and_that_is_said(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(Path("near.txt"), {name: places + np.array([6, 0]) for name, places in planted.particles.items()})
    words = planted.words("data.negatives=near.txt", "sampler.epoch_size=1")
    run(words)
    data = data_of(words)
    regions = data.labelled(data.train).regions()
    without = data_of(planted.words())
    assert regions.positives.begins.tolist() == without.labelled(data.train).regions().positives.begins.tolist()
    assert f"{regions.contested} regions are within data.radius of both" in capsys.readouterr().out


def test_negatives_of_held_out_micrographs_change_nothing_and_that_is_said(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    words = planted.words("sampler.epoch_size=2")
    (held_out,) = data_of(words).test
    write_table(Path("held_out.txt"), {held_out: planted.look_alikes[held_out]})
    folder = run([*words, "run_dir=with", "data.negatives=held_out.txt"])
    assert "none of the 8 positions of data.negatives is on a training micrograph" in capsys.readouterr().out
    without = run([*words, "run_dir=without"])
    assert (folder / "metrics.csv").read_text() == (without / "metrics.csv").read_text()


def test_a_micrograph_with_negatives_alone_has_been_looked_at(planted: Planted) -> None:
    write_table(Path("some.txt"), {name: planted.particles[name][:4] for name in ("mic_0", "mic_1")})
    write_table(Path("wrong.txt"), {"mic_2": planted.look_alikes["mic_2"]})
    words = planted.words("data.picks=some.txt", "data.unpicked=drop")
    assert set(data_of(words).skipped) == {"mic_2", "mic_3"}
    assert set(data_of([*words, "data.negatives=wrong.txt"]).skipped) == {"mic_3"}


# ---- the same run


def name_of(*words: str) -> str:
    config = provisional(load("train", list(words)))
    return default_folder("train", config, identity(config, "0" * 32, None)).name  # type: ignore[arg-type]


def test_runs_of_before_there_were_masks_negatives_and_crops_are_found_again() -> None:
    patches = "sampler=patches"
    assert name_of("data=simulated", patches) == "train-simulated-resnet8-ge_binomial-0002372e"
    words = ("data.micrographs=m", "data.picks=p.txt", "data.expected_particles=100", patches)
    assert name_of(*words) == "train-m-resnet8-ge_binomial-e490ae17"
    cosine = name_of("data=simulated", "loss=pu", "optimizer.schedule=cosine", patches)
    assert cosine == "train-simulated-resnet8-pu-b23a9456"
    assert name_of("data=simulated") != name_of("data=simulated", patches)


def test_the_weight_of_negatives_counts_and_the_places_of_files_do_not() -> None:
    words = ("data.micrographs=m", "data.picks=p.txt", "data.expected_particles=100", "data.negatives=n.txt")
    assert name_of(*words) == name_of(*words[:3], "data.negatives=other.txt", "data.masks=masks")
    assert name_of(*words, "loss.negative_weight=2") != name_of(*words)
    with pytest.warns(PickeryWarning, match="no effect"):
        assert name_of(*words[:3], "loss.negative_weight=2") == name_of(*words[:3])


def test_the_datas_hash_covers_masks_and_the_negatives_that_train_and_nothing_new_without_them(
    planted: Planted,
) -> None:
    import hashlib

    data = data_of(planted.words())
    digest = hashlib.blake2b(data.prepared.fingerprint.encode(), digest_size=16)
    for side, names in (("train", data.train), ("test", data.test)):
        for name in names:
            digest.update(f"\0{side}\0{name}\0".encode() + data.points[name].astype("<f8").tobytes())
    assert data.fingerprint == digest.hexdigest()

    def with_negatives(name: str) -> str:
        write_table(Path("n.txt"), {name: planted.look_alikes[name]})
        return data_of(planted.words("data.negatives=n.txt")).fingerprint

    first, other = data.train[:2]
    assert with_negatives(data.test[0]) == data.fingerprint
    assert len({data.fingerprint, with_negatives(first), with_negatives(other)}) == 3
    blank, dot = np.zeros((2, SIDE, SIDE), np.float32)
    dot[:2, :2] = 1  # where there are no picks
    prints = []
    for mask in (blank, dot):
        write_mrc(Path(f"masks/{data.test[0]}.mrc"), mask, pixel_size_angstrom=None)
        prints.append(data_of(planted.words("data.masks=masks")).fingerprint)
    assert prints[0] == data.fingerprint != prints[1]


@pytest.mark.slow
def test_a_cross_validation_varies_the_weight_of_negatives_on_masked_micrographs(planted: Planted) -> None:
    from tests.cross_validation.conftest import cross_validate

    done = cross_validate(
        [
            *planted.words(planted.negatives, planted.masks, "sampler.epoch_size=3", "run_dir=compared"),
            "cross_validation.parameter=negative_weight",
            "cross_validation.values=[0.5,2]",
        ]
    )
    table = rows_of(done.path, "cross_validation.csv")
    assert [row["loss.negative_weight"] for row in table] == ["0.5", "0.5", "2", "2"]
    figures = [rows_of(done.path / f"negative_weight_{value}_fold_0", "metrics.csv")[0] for value in ("0.5", "2")]
    first, second = (float(row["train_objective_negative"]) for row in figures)
    assert 0 < first < second
