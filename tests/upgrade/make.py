"""Makes what a version leaves behind: ``python -m tests.upgrade.make`` writes ``tests/upgrade/VERSION.tar.xz``.

Once a version is out its archive stays as it is: later versions must open it, or say what to do.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

SMALL = (
    "data.micrographs=micrographs", "data.picks=picks.txt", "data.expected_particles=6", "data.test_fraction=0.5",
    "data.check_picks=false", "preprocess.downsample=4", "preprocess.workers=1", "model=conv31", "model.units=4",
    "sampler.minibatch_size=16", "sampler.epoch_size=6", "optimizer.learning_rate=0.002", "trainer.threads=1",
    "trainer.accelerator=cpu", "trainer.epochs=2", "tracking.system_metrics=false",
)  # fmt: skip
PICK = ("picking.model=run", "data.micrographs=micrographs", "picking.threshold=-3", "picking.out=picked.txt")


def weights_hash(path: Path) -> str:
    """Hash the weights of a model file."""
    from pickery.model.weights import load_model

    model, _ = load_model(path)
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + np.ascontiguousarray(value.numpy()).tobytes())
    return digest.hexdigest()


def make(folder: Path) -> None:
    """Fill a folder: micrographs and picks, their prepared set, a training, a cross-validation and the tracked runs."""
    import mrcfile

    from pickery import __version__
    from pickery.formats.micrographs import read_micrograph
    from pickery.simulation.data_set import write_data_set
    from pickery.simulation.settings import SimulationSettings

    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / "data"
        settings = SimulationSettings(
            micrographs=4, rows=256, columns=256, particles_per_micrograph=5, picked_fraction=1, carbon_probability=0
        )
        write_data_set(made, settings)
        (folder / "micrographs").mkdir()
        for path in sorted((made / "micrographs").iterdir()):
            image = read_micrograph(path)
            # eight bits a pixel keep the archive small
            scaled = np.clip(20 * (image - image.mean()) / image.std(), -127, 127).astype(np.int8)
            with mrcfile.new(folder / "micrographs" / path.name) as file:
                file.set_data(scaled)
                file.voxel_size = 2.0
        shutil.copy(made / "picks.txt", folder)
    pickery = [sys.executable, "-m", "pickery"]
    for words in (
        ("train", *SMALL, "run_dir=run"),
        ("cross-validate", *SMALL, "cross_validation.times=2", "trainer.epochs=1", "run_dir=cv"),
        ("pick", *PICK),
    ):
        given = dict(word.split("=", 1) for word in words[1:])
        subprocess.run(
            [*pickery, words[0], *(f"{name}={value}" for name, value in given.items())], cwd=folder, check=True
        )
    expected = {
        "version": __version__,
        "metrics": (folder / "run/metrics.csv").read_text(),
        "weights": weights_hash(folder / "run/model.ckpt"),
        "picks": (folder / "picked.txt").read_text(),
        "tracked_run": json.loads((folder / "run/run.json").read_text())["tracked_run"],
        "winner": json.loads((folder / "cv/summary.json").read_text())["best"],
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))
    for path in [*folder.rglob("plots"), *folder.rglob("picked_*"), *folder.rglob(".*.lock"), *folder.rglob(".lock")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def main() -> None:
    """Write the archive of the present version."""
    from pickery import __version__

    archive = Path(__file__).parent / f"{__version__}.tar.xz"
    with tempfile.TemporaryDirectory() as place:
        make(Path(place))
        with tarfile.open(archive, "w:xz") as tar:
            for path in sorted(Path(place).iterdir()):
                tar.add(path, path.name)
    print(f"{archive}: {os.path.getsize(archive) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
