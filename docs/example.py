"""From micrographs to picks with Pickery's functions, on simulated data: runs as it stands, in about a minute."""

from pathlib import Path

import pickery

data = {
    "data.micrographs": "simulated/micrographs",
    "data.picks": "simulated/picks.txt",
    "data.expected_particles": 12,
    "preprocess.downsample": 4,
}
small = {"model": "conv31", "model.units": 8, "trainer.epochs": 3, "sampler.epoch_size": 30, "tracking": "off"}

if not Path("simulated").exists():
    pickery.simulate(
        {
            "simulation.out": "simulated",
            "simulation.micrographs": 6,
            "simulation.rows": 512,
            "simulation.columns": 512,
            "simulation.particles_per_micrograph": 12,
        }
    )

prepared = pickery.prepare({"data.micrographs": data["data.micrographs"], "preprocess.downsample": 4})
print(f"{len(prepared.names)} micrographs of {prepared.image(prepared.names[0]).shape} regions")

trained = pickery.fit(data | small | {"optimizer.learning_rate": 0.002})
print(f"best epoch {trained.best_epoch}, average precision of picks {trained.picks['pick_average_precision']:.3f}")

compared = pickery.cross_validate(
    data | small | {"cross_validation.parameter": "radius", "cross_validation.values": [2, 3]}
)
print(compared.verdict[0])

picked = pickery.pick(
    {"picking.model": trained.folder, "data.micrographs": data["data.micrographs"], "picking.out": "picked.star"}
)
print(f"{sum(map(len, picked.points.values()))} picks in {picked.out}")

scored = pickery.score({"score.picks": picked.out, "score.truth": "simulated/truth.txt", "score.radius": 30})
print(f"precision {scored.precision:.3f}, recall {scored.recall:.3f} against all particles")
