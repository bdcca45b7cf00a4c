"""The doctor's commands in the documents, on simulated micrographs in a user's folder."""

from pathlib import Path

import pytest

from pickery.cli import main
from tests.doctor.conftest import Data
from tests.test_readme import pickery_commands


@pytest.mark.slow
@pytest.mark.parametrize("words", pickery_commands("doctor"), ids=" ".join)
def test_documented_examinations_find_nothing_in_the_way(
    words: list[str], data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("micrographs").symlink_to(data.micrographs)
    rows = [line.split("\t") for line in data.picks.read_text().splitlines()[1:]]
    loop = "\n".join(f"micrographs/{name}.mrc {x} {y}" for name, x, y, *_ in rows)
    columns = "data_particles\n\nloop_\n_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n"
    Path("picks.star").write_text(f"{columns}{loop}\n")
    assert main([*words, "doctor.measure=false"]) == 0
    (folder,) = Path("doctor").iterdir()
    assert {path.name for path in folder.iterdir()} == {"doctor.json", "overlay.png", "mean_patches.png"}
