"""The commands of docs/picking.md and the README that pick, score and convert, run in their order in one folder."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Said, TinyData
from tests.test_readme import DOCUMENTS, commands

AFTER_TRAINING = ("pick", "score", "convert", "report")


def lay_out(folder: Path, tiny: TinyData, said_by: Said) -> None:
    """Make a user's folder: micrographs, their lists by RELION and CryoSPARC, picks made by hand, a trained model."""
    from cryosparc.dataset import Dataset

    (folder / "micrographs").symlink_to(tiny.micrographs)
    names = sorted(path.name for path in tiny.micrographs.glob("*.mrc"))
    (folder / "picks.txt").write_text(tiny.picks.read_text())
    rows = [line.split("\t") for line in tiny.picks.read_text().splitlines()[1:]]
    columns = "data_particles\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n"
    picked = "\n".join(f"micrographs/{name}.mrc {x} {y}" for name, x, y, *_ in rows)
    for name in ("manual.star", "picks.star"):
        (folder / name).write_text(f"{columns}{picked}\n")
    listed = "\n".join(f"micrographs/{name} 1" for name in names)
    (folder / "micrographs_ctf.star").write_text(
        "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 2.0\n\n"
        f"data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n{listed}\n"
    )
    Dataset(
        {
            "uid": np.arange(1, len(names) + 1, dtype=np.uint64),
            "micrograph_blob/path": np.array([f"micrographs/{name}" for name in names], dtype=object),
            "micrograph_blob/shape": np.full((len(names), 2), 384, dtype=np.uint32),
            "micrograph_blob/psize_A": np.full(len(names), 2.0, dtype=np.float32),
        }
    ).save(folder / "exposures.cs")
    said_by("train", *tiny.overrides("run_dir=runs/mine"))


def documented() -> list[list[str]]:
    return [words[1:] for words in commands() if words[0].endswith("pickery") and words[1] in AFTER_TRAINING]


def with_what_is_here(words: Sequence[str], detectors: bool) -> list[str]:
    """Put our model in the place of one of Topaz's where these are not installed; the rest stays."""
    return [word if detectors else word.replace("=resnet8_u32", "=model.sav") for word in words]


@pytest.mark.slow
def test_documented_picking_scoring_and_conversion_run_in_their_order(
    tiny: TinyData, tmp_path: Path, said_by: Said
) -> None:
    lay_out(tmp_path, tiny, said_by)
    said_by("convert", "runs/mine", "model.sav")
    seen: set[tuple[str, ...]] = set()
    for words in documented():
        if tuple(words) not in seen:
            seen.add(tuple(words))
            said_by(*with_what_is_here(words, find_spec("topaz") is not None))
    assert len(seen) >= 10
    for name in ("picked.star", "picked/autopick.star", "picked.cs", "for_cryosparc.cs", "boxes", "again.ckpt"):
        assert (tmp_path / name).exists(), name
    assert list(tmp_path.glob("scores/*/summary.json"))


@pytest.mark.parametrize("words", documented(), ids=" ".join)
def test_documented_settings_after_training_are_valid_as_they_stand(words: list[str]) -> None:
    from pickery.config.load import load
    from pickery.config.positions import named

    load(words[0], named(words[0], words[1:]))


def test_picking_scoring_and_converting_are_documented() -> None:
    assert {words[0] for words in documented()} == set(AFTER_TRAINING)
    assert any(path.name == "picking.md" for path in DOCUMENTS)
