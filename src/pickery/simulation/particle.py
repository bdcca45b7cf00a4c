"""The particle: an asymmetric complex of known diameter, and its projections in any orientation.

It is a cloud of points, one for each residue, filling six ellipsoidal domains; like a real protein it has its shape at
low resolution and random scatterers at high resolution (Wilson statistics). A projection drops one coordinate, so no
volume is ever interpolated.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESIDUES = 3200
_DOMAINS = np.array(
    # centre x, y, z and semi-axes x, y, z in arbitrary units:
    # two lobes with a groove between them, stalk, beak, foot, knob
    [
        [0.12, -0.22, 0.00, 0.60, 0.50, 0.50],
        [-0.10, 0.52, 0.08, 0.54, 0.29, 0.40],
        [0.68, 0.20, 0.15, 0.19, 0.32, 0.20],
        [-0.60, 0.28, -0.26, 0.25, 0.21, 0.23],
        [-0.40, -0.58, 0.26, 0.30, 0.27, 0.30],
        [0.20, -0.16, 0.58, 0.28, 0.27, 0.25],
    ]
)
_CHANNEL = np.array([0.14, -0.20, -0.05, 0.17, 0.17, 0.60])  # hollow, through the larger lobe
_FILL_SEED = 20190718  # any number: the particle is the same in every data set


@dataclass(frozen=True, slots=True)
class Particle:
    """A molecule as points.

    Attributes
    ----------
    residues
        (n, 3) float32, x, y, z of each residue in Å from the centre of mass.
    domains
        (n,) int, the domain of each residue.
    width_angstrom
        Standard deviation of the Gaussian that stands for one residue, in Å.
    """

    residues: NDArray[np.floating]
    domains: NDArray[np.int64]
    width_angstrom: float

    @property
    def diameter_angstrom(self) -> float:
        """Twice the distance from the centre of mass to the farthest residue, in Å."""
        return 2 * float(np.linalg.norm(self.residues, axis=1).max())

    def subunits(self) -> list[NDArray[np.floating]]:
        """Each domain alone, about its own centre of mass."""
        parts = [self.residues[self.domains == domain] for domain in np.unique(self.domains)]
        return [part - part.mean(axis=0) for part in parts]


@lru_cache(maxsize=4)
def build_particle(diameter_angstrom: float) -> Particle:
    """Return the simulated complex, scaled to a diameter.

    Parameters
    ----------
    diameter_angstrom
        Twice the distance from the centre of mass to the farthest residue, in Å. At 130 Å the particle has a mass of
        about 350 kDa at the density of protein.

    Returns
    -------
    Particle
    """
    rng = np.random.default_rng(_FILL_SEED)
    centres, axes = _DOMAINS[:, :3], _DOMAINS[:, 3:]
    box = np.array([(centres - axes).min(axis=0), (centres + axes).max(axis=0)])
    points = rng.uniform(box[0], box[1], size=(12 * RESIDUES, 3))
    distance = (((points[:, None, :] - centres) / axes) ** 2).sum(axis=2)  # (n, domains), below 1 inside
    hollow = (((points - _CHANNEL[:3]) / _CHANNEL[3:]) ** 2).sum(axis=1) <= 1
    inside = np.flatnonzero((distance.min(axis=1) <= 1) & ~hollow)[:RESIDUES]
    assert inside.size == RESIDUES
    points, domains = points[inside], distance[inside].argmin(axis=1)
    points -= points.mean(axis=0)
    points *= diameter_angstrom / 2 / np.linalg.norm(points, axis=1).max()
    # 2.5 Å at 130 Å, the size of a residue; it grows with the distance between the points
    return Particle(points.astype(np.float32), domains, 2.5 * diameter_angstrom / 130)


def random_rotations(rng: np.random.Generator, count: int) -> NDArray[np.floating]:
    """Rotations distributed uniformly over SO(3).

    A normalised vector of four normal numbers is a uniform unit quaternion (Shoemake 1992).

    Parameters
    ----------
    rng
        Source of randomness.
    count
        How many.

    Returns
    -------
    ndarray
        (count, 3, 3) float32 rotation matrices.
    """
    quaternions = rng.standard_normal((count, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    w, x, y, z = quaternions.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0).astype(np.float32)


def project(
    residues: NDArray[np.floating],
    rotations: NDArray[np.floating],
    centres: NDArray[np.float64],
    pixel_size_angstrom: float,
) -> NDArray[np.floating]:
    """Turn a molecule, put it down at each centre and drop the coordinate along the beam.

    Parameters
    ----------
    residues
        (n, 3) x, y, z in Å.
    rotations
        (m, 3, 3).
    centres
        (m, 2) x, y in pixels.
    pixel_size_angstrom
        Å per pixel.

    Returns
    -------
    ndarray
        (m · n, 2) x, y of the residues in pixels.
    """
    turned = np.einsum("mij,nj->mni", rotations[:, :2], residues, optimize=True)
    points: NDArray[np.floating] = turned / np.float32(pixel_size_angstrom) + centres[:, None, :].astype(np.float32)
    return points.reshape(-1, 2)


def deposit(points: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.floating]:
    """Share the unit weight of each point among its four pixels (bilinear), round the edges of a periodic image.

    Parameters
    ----------
    points
        (n, 2) x, y in pixels.
    shape
        [rows, columns].

    Returns
    -------
    ndarray
        [rows, columns], with sum n.
    """
    corner = np.floor(points)
    right, down = (points - corner).T
    x, y = corner.astype(np.int64).T
    image = np.zeros(shape[0] * shape[1])
    for step_y, step_x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (down if step_y else 1 - down) * (right if step_x else 1 - right)
        index = (y + step_y) % shape[0] * shape[1] + (x + step_x) % shape[1]
        image += np.bincount(index, weights=weight, minlength=image.size)
    return image.reshape(shape).astype(np.float32)
