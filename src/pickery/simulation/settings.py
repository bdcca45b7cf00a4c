"""What a simulated data set is made of: plain numbers, their meaning and their units."""

import hashlib
import json
import math
from dataclasses import dataclass, fields

from pickery.errors import InputError

SIMULATION_VERSION = 1
"""Raised whenever the same settings give other pixels or points, so that no cached set is taken for a new one."""

_MOST_COVERED = 0.35
"""Largest share of a micrograph that its particles may cover: beyond it they no longer fit without overlapping."""


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """A simulated data set. The defaults are the embedded one, which is made in seconds.

    Attributes
    ----------
    micrographs
        Number of micrographs. Micrograph `i` is the same whatever their number.
    rows, columns
        Size of a micrograph in pixels.
    pixel_size_angstrom
        Å per pixel.
    particle_diameter_angstrom
        Twice the distance from the particle's centre of mass to its farthest residue, in Å.
    particles_per_micrograph
        Mean number of particles wholly inside a micrograph; a single one holds from a half to one and a half times it.
    picked_fraction
        Share of the particles of each micrograph that is handed out as picks (at least one), in (0, 1].
    signal_to_noise
        Variance of the particle's image over its disc, divided by the variance of the noise of solvent and electrons,
        for single pixels of full size at the middle of the defocus range, averaged over orientations.
    dose
        Electrons per Å² recorded where the ice is of ordinary thickness.
    defocus_lowest_micrometre, defocus_highest_micrometre
        Range of the underfocus, spread evenly over the micrographs, in µm.
    voltage_kilovolt, spherical_aberration_millimetre, amplitude_contrast
        The microscope.
    b_factor_angstrom2
        Envelope exp(-B k²/4) on what is scattered to spatial frequency k, in Å².
    contamination_probability
        Share of the micrographs with ice crystals on them.
    carbon_probability
        Share of the micrographs that the edge of the carbon film crosses.
    debris
        Free subunits per particle: protein, but not what is looked for.
    seed
        Everything random follows from it and a micrograph's number.
    """

    micrographs: int = 12
    rows: int = 1024
    columns: int = 1024
    pixel_size_angstrom: float = 2.0
    particle_diameter_angstrom: float = 130.0
    particles_per_micrograph: float = 40.0
    picked_fraction: float = 0.3
    signal_to_noise: float = 0.1
    dose: float = 40.0
    defocus_lowest_micrometre: float = 0.8
    defocus_highest_micrometre: float = 2.5
    voltage_kilovolt: float = 300.0
    spherical_aberration_millimetre: float = 2.7
    amplitude_contrast: float = 0.1
    b_factor_angstrom2: float = 120.0
    contamination_probability: float = 0.5
    carbon_probability: float = 0.25
    debris: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse particles that do not fit; the ranges of single settings are checked where they are read."""
        shortest = min(self.rows, self.columns)
        if shortest < 2.5 * self.particle_diameter_px:
            raise InputError(
                f"simulation.particle_diameter_angstrom={self.particle_diameter_angstrom:g} is "
                f"{self.particle_diameter_px:.0f} pixels wide in micrographs of {self.rows} x {self.columns} pixels: "
                f"make simulation.rows and simulation.columns at least {math.ceil(2.5 * self.particle_diameter_px)}, "
                "or the particle smaller."
            )
        disc_px = math.pi * (self.particle_diameter_px / 2) ** 2
        most = _MOST_COVERED * self.rows * self.columns / disc_px
        if self.particles_per_micrograph > most:
            raise InputError(
                f"simulation.particles_per_micrograph={self.particles_per_micrograph:g} is more than fit: "
                f"micrographs of {self.rows} x {self.columns} pixels take at most {math.floor(most)} particles of "
                f"{self.particle_diameter_px:.0f} pixels."
            )

    @property
    def expected_particles(self) -> float:
        """Mean number of true particles in a micrograph, what `data.expected_particles` asks for."""
        return self.particles_per_micrograph

    @property
    def particle_diameter_px(self) -> float:
        """Diameter of the particle in pixels."""
        return self.particle_diameter_angstrom / self.pixel_size_angstrom

    @property
    def electrons_per_px(self) -> float:
        """Mean number of electrons in a pixel of empty ice."""
        return self.dose * self.pixel_size_angstrom**2

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name the data set: of the settings and the simulation's version."""
        # 40 and 40.0 are one setting
        values = {
            f.name: float(getattr(self, f.name)) if f.type is float else getattr(self, f.name) for f in fields(self)
        }
        text = json.dumps({"version": SIMULATION_VERSION, **values}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
