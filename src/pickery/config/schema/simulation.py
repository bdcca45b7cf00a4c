"""Micrographs with known particles: the settings of `pickery.simulation`, with their ranges."""

from pydantic import Field

from pickery.config.schema.base import Folder, Settings


class SimulationGroup(Settings):
    """Simulated micrographs."""

    micrographs: int = Field(12, ge=1, description="Number of micrographs; each is the same whatever their number.")
    rows: int = Field(1024, ge=64, description="Height of a micrograph, pixels.")
    columns: int = Field(1024, ge=64, description="Width of a micrograph, pixels.")
    pixel_size_angstrom: float = Field(2.0, gt=0, description="Pixel size, Å.")
    particle_diameter_angstrom: float = Field(130.0, gt=0, description="Longest diameter of the particle, Å.")
    particles_per_micrograph: float = Field(
        40.0, gt=0, description="Mean number of particles in a micrograph; data=simulated expects just as many."
    )
    picked_fraction: float = Field(
        0.3, gt=0, le=1, description="Share of each micrograph's particles handed out as picks."
    )
    signal_to_noise: float = Field(
        0.1, gt=0, description="Variance of the particle's image over that of the noise, per full-size pixel."
    )
    dose: float = Field(40.0, gt=0, description="Electrons per Å² recorded.")
    defocus_lowest_micrometre: float = Field(0.8, gt=0, description="Least underfocus, µm.")
    defocus_highest_micrometre: float = Field(2.5, gt=0, description="Most underfocus, µm.")
    voltage_kilovolt: float = Field(300.0, gt=0, description="Accelerating voltage, kV.")
    spherical_aberration_millimetre: float = Field(2.7, ge=0, description="Spherical aberration, mm.")
    amplitude_contrast: float = Field(0.1, ge=0, le=1, description="Share of amplitude contrast.")
    b_factor_angstrom2: float = Field(120.0, ge=0, description="Envelope's B factor, Å².")
    contamination_probability: float = Field(0.5, ge=0, le=1, description="Share of micrographs with ice crystals.")
    carbon_probability: float = Field(0.25, ge=0, le=1, description="Share of micrographs that show the carbon's edge.")
    debris: float = Field(0.4, ge=0, description="Free subunits per particle: protein, but not what is looked for.")
    seed: int = Field(0, ge=0, description="Everything random in the simulated data follows from it.")


class SimulateGroup(SimulationGroup):
    """Simulated micrographs, and where they go."""

    out: Folder | None = Field(None, description="Folder to write micrographs, picks and true centres to. Required.")
