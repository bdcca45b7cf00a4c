"""TIFF, PNG and JPEG micrographs: greyscale only, one image a file."""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import ImageKind, MicrographHeader
from pickery.formats.files import reading
from pickery.formats.mrc import check_pixels, stack_error
from pickery.formats.tiff_directories import check_directories

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# TIFF's resolution is often a screen's (72 an inch); only these are pixels of an electron micrograph
PLAUSIBLE_PIXEL_SIZES_ANGSTROM = (0.05, 100.0)
ANGSTROM_PER_UNIT = {2: 2.54e8, 3: 1e8}  # TIFF's ResolutionUnit: inch, centimetre
HIGHEST_COMPRESSION = 4000  # LZW's is 2730, and noise comes nowhere near: more means sizes that are junk
SMALL_TILE = 1 << 20  # in pixels, that an image of any size may have
MOST_PIXELS_PER_BYTE = 8 * 1032  # of a PNG of one bit a pixel, all alike; a JPEG's are fewer
MOST_SCANS = 64  # of a JPEG, which goes over all pixels in each; there are about ten
PILLOW_DTYPES = {"1": "bool", "I": "int32", "F": "float32"}  # the modes not named below: uint8

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # over a bad file our own message is enough


def read_tiff_header(path: Path) -> MicrographHeader:
    """Read the header of a TIFF.

    Raises
    ------
    InputError
        The file is no TIFF, is truncated, or holds several images.
    """
    with _tiff(path) as series:
        page = series.keyframe
        shape = tuple(series.shape[series.axes.index(axis)] for axis in "YX")
        return MicrographHeader((shape[0], shape[1]), np.dtype(series.dtype).name, _tiff_pixel_size(page))


def read_tiff_pixels(path: Path) -> NDArray[Any]:
    """Read the pixels of a TIFF, [y, x], as stored.

    Raises
    ------
    InputError
        As for the header; or the image is in colour, or of complex numbers.
    """
    with _tiff(path) as series:
        axes = "".join(axis for axis, size in zip(series.axes, series.shape, strict=True) if axis in "YX" or size > 1)
        if series.keyframe.photometric == 3:
            raise _in_colour(path)
        if series.dtype.kind not in "buif":
            raise InputError(f"{path} holds numbers of type {series.dtype}: write it as a real greyscale image.")
        pixels: NDArray[Any] = series.asarray()
        pixels = pixels.reshape([series.shape[series.axes.index(axis)] for axis in axes])
        return _grey(path, np.moveaxis(pixels, axes.index("S"), -1)) if "S" in axes else pixels


@contextmanager
def _tiff(path: Path) -> Iterator[Any]:
    """Open a TIFF and give its one image."""
    import tifffile

    # of other programs' kinds of TIFF some name further files, which would be opened wherever they lie
    alone: dict[str, Any] = {"_multifile": False, **dict.fromkeys(("is_ome", "is_mmstack", "is_ndtiff"), False)}
    with ExitStack() as stack:
        stack.enter_context(reading(path, "a TIFF"))
        check_directories(path)
        tiff = stack.enter_context(tifffile.TiffFile(path, **alone))
        series = tiff.series[0]
        rows, columns = (series.shape[series.axes.index(axis)] for axis in "YX")
        samples = series.shape[series.axes.index("S")] if "S" in series.axes else 1
        check_pixels(path, rows, columns * samples)
        images = series.size // (rows * columns * samples) if series.size else 0
        same = [other for other in tiff.series if other.shape == series.shape]  # others may be thumbnails
        if images * len(same) > 1:
            raise stack_error(path, images * len(same))
        page = series.keyframe
        if page.tile is not None and math.prod(page.tile) > max(4 * rows * columns, SMALL_TILE):
            raise ValueError("its tiles are larger than the image")
        # tifffile fills with zeros what is not there
        ends = [start + size for start, size in zip(page.dataoffsets, page.databytecounts, strict=True)]
        expected = rows * columns * samples * series.dtype.itemsize
        if page.compression != 1:
            expected //= HIGHEST_COMPRESSION
        size = path.stat().st_size  # strips may share their bytes, and then have more in sum than the file
        lacking = min(sum(page.databytecounts), size) < expected or 0 in page.databytecounts
        if not images or not ends or lacking or max(ends) > size:
            raise InputError(f"{path} is truncated: part of its pixels is not there; write or copy it again.")
        yield series


def _tiff_pixel_size(page: Any) -> float | None:
    unit, resolution = page.tags.get(296), page.tags.get(282)
    if unit is None or resolution is None or int(unit.value) not in ANGSTROM_PER_UNIT or not resolution.value[0]:
        return None
    numerator, denominator = resolution.value
    size = float(ANGSTROM_PER_UNIT[int(unit.value)] * denominator / numerator)
    low, high = PLAUSIBLE_PIXEL_SIZES_ANGSTROM
    return size if low <= size <= high else None


def read_pillow_header(path: Path) -> MicrographHeader:
    """Read the header of a PNG or JPEG.

    Raises
    ------
    InputError
        The file is neither.
    """
    with _pillow(path) as image:
        dtype = "uint16" if image.mode.startswith("I;16") else PILLOW_DTYPES.get(image.mode, "uint8")
        return MicrographHeader((image.height, image.width), dtype, None)


def read_pillow_pixels(path: Path) -> NDArray[Any]:
    """Read the pixels of a PNG or JPEG, [y, x], as stored.

    Raises
    ------
    InputError
        The file is neither, is truncated, or is in colour.
    """
    with _pillow(path) as image:
        if image.mode in ("P", "PA"):
            return _grey(path, np.asarray(image.convert("RGB")))
        if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
            raise _in_colour(path)
        pixels = np.asarray(image)
        if pixels.ndim == 2:
            return pixels
        # the last channel of LA and RGBA is how opaque a pixel is
        return _grey(path, pixels[:, :, : 3 if pixels.shape[2] > 2 else 1])


@contextmanager
def _pillow(path: Path) -> Iterator["ImageFile"]:
    """Open a PNG or JPEG by its content.

    Not by `PIL.Image.open`, which warns of a "decompression bomb" above 89 million pixels: fewer than a K3 camera has
    in super-resolution.
    """
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    with reading(path, "a PNG or JPEG image"):
        with path.open("rb") as handle:
            reader = PngImageFile if handle.read(4) == b"\x89PNG" else JpegImageFile
        if reader is JpegImageFile and path.read_bytes().count(b"\xff\xda") > MOST_SCANS:
            raise ValueError(f"it is made up of more than {MOST_SCANS} scans")
        with reader(path) as image, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of transparency, which no micrograph has
            check_pixels(path, image.height, image.width)
            if image.height * image.width // MOST_PIXELS_PER_BYTE > path.stat().st_size:
                raise InputError(f"{path} is truncated: part of its pixels is not there; write or copy it again.")
            yield image


def _grey(path: Path, channels: NDArray[Any]) -> NDArray[Any]:
    """Take one channel of an image in colours that are all grey."""
    first = channels[..., 0]
    if any(not np.array_equal(first, channels[..., index]) for index in range(1, channels.shape[-1])):
        raise _in_colour(path)
    return np.ascontiguousarray(first)


def _in_colour(path: Path) -> InputError:
    return InputError(f"{path} is in colour, and a micrograph is greyscale: give the image that the camera recorded.")


TIFF = ImageKind("a TIFF", (".tiff", ".tif"), read_tiff_header, read_tiff_pixels)
PNG_OR_JPEG = ImageKind("a PNG or JPEG image", (".png", ".jpg", ".jpeg"), read_pillow_header, read_pillow_pixels)
