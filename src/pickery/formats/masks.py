"""The door to masks: areas of micrographs that are left out, as images or as polygons in a table."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickery.errors import InputError, PickeryWarning
from pickery.formats.assignment import match_names
from pickery.formats.files import expand, reading, unique_names
from pickery.formats.images import IMAGE_ENDINGS, bare_name, image_kind
from pickery.formats.micrographs import MicrographFile, read_header
from pickery.formats.topaz_table import MICROGRAPH, POLYGON, POLYGON_ENDINGS, X, Y, read_polygons

__all__ = ["Mask", "MaskedArea", "find_masks"]

# a polygon is looked at in this many points along each side of a region, or in every pixel where it has fewer
POINTS_PER_SIDE = 8
# a mask is named after its micrograph, with or without such an end
SUFFIX = re.compile(r"[ ._-]masks?$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class MaskedArea:
    """What is left out of one micrograph, in memory.

    Positions are counted as those of picks: the centre of the first pixel is (0, 0), and a pixel (x, y) of a smaller
    picture of the micrograph, be it a mask or a downsampled micrograph, stands for the point (x, y) times the factor.

    Attributes
    ----------
    name
        Says which masks these are, for messages.
    micrograph
        The micrograph's name.
    shape
        (rows, columns) of the full-size micrograph.
    images
        Pictures of the whole micrograph, of any size, true where something is left out.
    polygons
        Vertices (n, 2), (x, y) in full-size pixels; each polygon is closed by itself.
    """

    name: str
    micrograph: str
    shape: tuple[int, int]
    images: tuple[NDArray[np.bool_], ...]
    polygons: tuple[NDArray[np.float64], ...]

    def regions(self, shape: tuple[int, int], scale: tuple[float, float]) -> NDArray[np.bool_]:
        """Tell which regions are left out: those of whose area at least half is.

        Parameters
        ----------
        shape
            (rows, columns) of the downsampled micrograph.
        scale
            Full-size pixels per region (along the rows, along the columns).

        Returns
        -------
        masked : bool, shape (rows, columns)

        Raises
        ------
        InputError
            Nothing would be left.
        """
        masked = np.zeros(shape, np.bool_)
        for image in self.images:
            if image.shape == shape:
                masked |= image
                continue
            down = _bounds(shape[0], scale[0], image.shape[0] / self.shape[0], image.shape[0])
            across = _bounds(shape[1], scale[1], image.shape[1] / self.shape[1], image.shape[1])
            sums = _sums_between(_sums_between(image, down).T, across).T
            area = np.diff(down)[:, None] * np.diff(across)
            masked |= sums >= (0.5 - 1e-6) * area  # a half that was rounded is a half
        if self.polygons:
            points = [min(POINTS_PER_SIDE, max(1, round(factor))) for factor in scale]
            places = [_places(*axis) for axis in zip(shape, scale, points, self.shape, strict=True)]
            inside = np.zeros((len(places[0]), len(places[1])), np.bool_)
            for polygon in self.polygons:
                inside |= _inside(polygon, *places)
            counts = inside.reshape(shape[0], points[0], shape[1], points[1]).sum(axis=(1, 3), dtype=np.int32)
            masked |= 2 * counts >= points[0] * points[1]
        if masked.all():
            raise InputError(
                f"{self.name} leaves nothing of the micrograph {self.micrograph}: what is not 0 is left out, so turn"
                " the mask round if it marks what to keep, or leave the micrograph out of data.micrographs."
            )
        return masked

    def covers(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points, shape (n, 2) as (x, y) in full-size pixels, lie in what is left out."""
        xy = np.asarray(points, np.float64).reshape(-1, 2)
        covered = np.zeros(len(xy), np.bool_)
        for image in self.images:
            column, row = (
                np.floor(xy[:, axis] * (size / full) + 0.5).astype(np.int64).clip(0, size - 1)
                for axis, size, full in zip((0, 1), image.shape[::-1], self.shape[::-1], strict=True)
            )
            covered |= image[row, column]
        for polygon in self.polygons:
            covered |= _holds(polygon, xy)
        return covered


@dataclass(frozen=True, eq=False)
class Mask:
    """What is left out of one micrograph; its images are read when they are asked for.

    Attributes
    ----------
    micrograph
        The micrograph's name.
    shape
        (rows, columns) of the full-size micrograph.
    images
        Images as large as the micrograph, or smaller or larger in both axes alike; not 0 where something is left out.
    polygons
        Vertices (n, 2), (x, y) in full-size pixels.
    tables
        The files that the polygons are from.
    """

    micrograph: str
    shape: tuple[int, int]
    images: tuple[Path, ...] = ()
    polygons: tuple[NDArray[np.float64], ...] = ()
    tables: tuple[Path, ...] = ()

    def read(self) -> MaskedArea:
        """Read the mask's images.

        Raises
        ------
        InputError
            An image cannot be read, or has pixels that are no numbers.
        """
        name = " and ".join(str(path) for path in (*self.images, *self.tables))
        images = tuple(_read_image(path) for path in self.images)
        return MaskedArea(name, self.micrograph, self.shape, images, self.polygons)

    def regions(self, shape: tuple[int, int], scale: tuple[float, float]) -> NDArray[np.bool_]:
        """Read the mask, and tell which regions are left out: see `MaskedArea.regions`."""
        return self.read().regions(shape, scale)


@dataclass
class _Parts:
    images: list[Path] = field(default_factory=list)
    polygons: list[NDArray[np.float64]] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)


def find_masks(
    source: str | Sequence[str],
    micrographs: Sequence[MicrographFile],
    shapes: Mapping[str, tuple[int, int]],
    *,
    setting: str = "data.masks",
) -> dict[str, Mask]:
    """Find the masks of micrographs.

    Parameters
    ----------
    source
        A folder, a glob, a file, or several of those. Images are named as their micrograph, with or without an end
        such as ``_mask`` (``NAME.png``, ``NAME_mask.tif``, ``NAME-mask.mrc``). Tables (.csv, .tsv, .txt) hold polygons
        in the columns `image_name`, `polygon`, `x_coord` and `y_coord`: a row for each vertex, in order, in full-size
        pixels. What any of a micrograph's masks leaves out is left out.
    micrographs
        Those that may have masks.
    shapes
        Micrograph's name → (rows, columns); micrographs without an entry have no mask.
    setting
        Named in messages.

    Returns
    -------
    dict
        By micrograph's name, only those that have one.

    Raises
    ------
    InputError
        Nothing is there, a file is no mask, has another aspect than its micrograph, or there are two for one
        micrograph; or no mask is any micrograph's.
    """
    sources = [source] if isinstance(source, str) else list(source)
    given = dict.fromkeys(path for one in sources for path in _files_of(str(one), setting))
    own = {file.path for file in micrographs}
    files = [path for path in given if path not in own]  # masks may lie beside the micrographs
    if not files:
        what = f"gives the micrographs themselves (such as {next(iter(given))})" if given else "is empty"
        raise InputError(f"{setting} {what}: give a folder of masks, a glob or a table of polygons.")
    images = [path for path in files if image_kind(path.name)]
    tables = [path for path in files if not image_kind(path.name)]
    parts: dict[int, _Parts] = {}
    unmatched: list[str] = []
    known = {bare_name(file.path.name) for file in micrographs}
    names = unique_names(images, lambda name: _stripped(name, known), setting)
    place_of = match_names(names, micrographs, setting)
    for path, name in zip(images, names, strict=True):
        if name in place_of:
            parts.setdefault(place_of[name], _Parts()).images.append(path)
        else:
            unmatched.append(str(path))
    for path in tables:
        polygons = read_polygons(path)
        place_of = match_names(list(polygons), micrographs, setting)
        for name, drawn in polygons.items():
            if name in place_of:
                part = parts.setdefault(place_of[name], _Parts())
                part.polygons += drawn
                part.tables.append(path)
            else:
                unmatched.append(f"{name} in {path}")
    if unmatched and not parts:
        first = f", the first being {micrographs[0].name}" if micrographs else ""
        raise InputError(
            f"{setting} has {len(unmatched)} masks (such as {unmatched[0]}), none of them of a micrograph given{first}:"
            " name each as its micrograph, with or without _mask at the end."
        )
    if unmatched:
        more = f" and {len(unmatched) - 1} more" if len(unmatched) > 1 else ""
        warnings.warn(
            f"{setting} has masks of no micrograph given: {unmatched[0]}{more}; they are not used.",
            PickeryWarning,
            stacklevel=2,
        )
    found = {}
    for index, part in sorted(parts.items()):
        name = micrographs[index].name
        if name in shapes:
            for path in part.images:
                _check_aspect(path, shapes[name], micrographs[index], setting)
            found[name] = Mask(name, shapes[name], tuple(part.images), tuple(part.polygons), tuple(part.tables))
    return found


def _files_of(source: str, setting: str) -> list[Path]:
    paths, chosen = expand(source, setting)
    masks = [path for path in paths if image_kind(path.name) or path.name.lower().endswith(POLYGON_ENDINGS)]
    if masks:
        return masks
    what = f"{paths[0]} is no mask" if chosen else f"{setting}={source} has no masks (but such as {paths[0].name})"
    raise InputError(
        f"{what}: masks are images, which end in {', '.join(IMAGE_ENDINGS)}, or tables of polygons with the columns"
        f" {MICROGRAPH}, {POLYGON}, {X}, {Y}, which end in {', '.join(POLYGON_ENDINGS)}."
    )


def _stripped(file_name: str, known: set[str]) -> str:
    """Name the micrograph that an image is the mask of."""
    name = bare_name(file_name)
    return name if name in known else SUFFIX.sub("", name)


def _check_aspect(path: Path, shape: tuple[int, int], micrograph: MicrographFile, setting: str) -> None:
    rows, columns = read_header(path).shape
    # each axis may have been rounded by a pixel
    if abs(rows / shape[0] - columns / shape[1]) > 1 / shape[0] + 1 / shape[1]:
        raise InputError(
            f"{setting}: {path} has {columns} x {rows} pixels, which is not the shape of {micrograph.path} ({shape[1]}"
            f" x {shape[0]}), nor that made larger or smaller: draw the mask on the whole micrograph."
        )


def _read_image(path: Path) -> NDArray[np.bool_]:
    kind = image_kind(path.name)
    assert kind is not None
    with reading(path, kind.name):
        pixels = kind.read_pixels(path)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(f"{path} has pixels that are not finite numbers: write 0 where nothing is left out, else 1.")
    return np.asarray(pixels != 0)


def _bounds(count: int, scale: float, factor: float, size: int) -> NDArray[np.float64]:
    """Where regions begin and end, counted in pixels of a mask from its edge.

    Region i stands for the full-size pixels around i · scale, and the mask's pixel j for those around j / factor.
    """
    return ((np.arange(count + 1) - 0.5) * scale * factor + 0.5).clip(0, size)


def _sums_between(values: NDArray[np.bool_] | NDArray[np.float32], bounds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sum an array's rows between one bound and the next, each row by the part of it that lies there."""
    whole = np.floor(bounds).astype(np.int64).tolist()
    sums = np.empty((len(bounds) - 1, values.shape[1]), np.float32)
    running = np.zeros(values.shape[1], np.float64)
    below, done = running, 0
    # region by region: the running sums of a large image at once would need a lot of memory
    for index, row in enumerate(whole):
        running = running + values[done:row].sum(axis=0, dtype=np.float64)
        done = row
        part = (bounds[index] - row) * values[row] if row < len(values) else 0.0
        if index > 0:
            sums[index - 1] = running + part - below
        below = running + part
    return sums


def _places(count: int, scale: float, per_region: int, size: int) -> NDArray[np.float64]:
    """Points spread evenly over regions, in full-size pixels along one axis; those beyond the border lie on it."""
    within = (np.arange(per_region) + 0.5) / per_region - 0.5
    return ((np.arange(count)[:, None] + within) * scale).ravel().clip(0, size - 1)


def _inside(polygon: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points of a grid, at these ascending y and x, lie in a polygon (by the even-odd rule)."""
    crossed = np.zeros((len(y), len(x) + 1), np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        first, last = np.searchsorted(y, sorted((y0, y1)), side="left")
        rows = np.arange(first, last)
        if len(rows):
            crossing = x0 + (y[rows] - y0) * ((x1 - x0) / (y1 - y0))
            # all points to the right of the edge change sides
            crossed[rows, np.searchsorted(x, crossing, side="left")] ^= True
    return np.logical_xor.accumulate(crossed[:, :-1], axis=1)


def _holds(polygon: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points (n, 2) lie in a polygon (by the even-odd rule)."""
    held = np.zeros(len(points), np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        spanned = (points[:, 1] >= min(y0, y1)) & (points[:, 1] < max(y0, y1))
        if spanned.any():
            crossing = x0 + (points[spanned, 1] - y0) * ((x1 - x0) / (y1 - y0))
            held[spanned] ^= points[spanned, 0] >= crossing
    return held
