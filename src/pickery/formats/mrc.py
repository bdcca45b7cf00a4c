"""MRC images: header and pixels, plain, gzipped or bzip2ed, and what counts as broken.

The header is taken by mrcfile's record type and mode table and judged here: Topaz and others leave out the identifier
and the machine stamp, over which mrcfile's own reader warns or stops, while it is silent about a stack of frames.
"""

import bz2
import gzip
import io
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pickery.errors import InputError
from pickery.formats.contract import LARGEST_PIXELS, LARGEST_SIDE, ImageKind, MicrographHeader
from pickery.formats.files import reading, writing

HEADER_BYTES = 1024
IMAGE_MODES = (0, 1, 2, 6, 12)
MODES = {
    **dict.fromkeys(IMAGE_MODES, "real numbers"),
    3: "complex numbers of 16 bits",
    4: "complex numbers (a Fourier transform)",
    101: "numbers of 4 bits",
}
CHUNK_BYTES = 1 << 24
LARGEST_EXTENDED_BYTES = 1 << 26  # of the extended header; that of a frame of a long movie has thousands of bytes
HIGHEST_GZIP_COMPRESSION = 1032
IMOD_STAMP, IMOD_SIGNED_BYTES = 1146047817, 1  # at bytes 152 and 156, see IMOD's description of its MRC headers


@dataclass(frozen=True)
class _Layout:
    """Where the pixels lie and what they are."""

    header: MicrographHeader
    dtype: np.dtype[Any]
    offset: int


def read_header(path: Path) -> MicrographHeader:
    """Read the header of an MRC image.

    Raises
    ------
    InputError
        The file is no MRC image, is truncated, holds a volume or a stack, or pixels of a type that is not read.
    """
    with reading(path, "an MRC image"), closing(_open(path)) as stream:
        return _layout(path, stream).header


def read_pixels(path: Path) -> NDArray[Any]:
    """Read the pixels of an MRC image, [y, x], as stored; errors as for `read_header`."""
    with reading(path, "an MRC image"), closing(_open(path)) as stream:
        layout = _layout(path, stream)
        _skip(stream, layout.offset - HEADER_BYTES)
        if not isinstance(stream, io.BufferedReader):
            return _unpacked(path, stream, layout)
        pixels = np.empty(layout.header.shape, layout.dtype)
        target = pixels.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < len(target):
            count = stream.readinto(target[filled : filled + CHUNK_BYTES])
            if not count:
                raise _truncated(path, layout.header, len(target), filled)
            filled += count
        return pixels


def _unpacked(path: Path, stream: IO[bytes], layout: _Layout) -> NDArray[Any]:
    """Read compressed pixels into memory that grows with what is there, whatever the header promises."""
    rows, columns = layout.header.shape
    expected = rows * columns * layout.dtype.itemsize
    held = bytearray()
    while len(held) < expected:
        piece = stream.read(min(CHUNK_BYTES, expected - len(held)))
        if not piece:
            raise _truncated(path, layout.header, expected, len(held))
        held += piece
    return np.frombuffer(held, layout.dtype).reshape(layout.header.shape)


def write_mrc(path: Path, image: NDArray[Any], *, pixel_size_angstrom: float | None) -> None:
    """Write a 2-D image as float32 MRC, at once or not at all.

    Parameters
    ----------
    path
        Replaced where it exists; its folder is made.
    image
        [y, x].
    pixel_size_angstrom
        None leaves the header without one.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    import mrcfile

    assert image.ndim == 2
    with writing(path) as temporary, mrcfile.new(temporary) as mrc:
        mrc.set_data(np.asarray(image, np.float32))
        # mrcfile writes zero for an unknown size, and `_layout` reads it as unknown
        if pixel_size_angstrom is not None:
            mrc.voxel_size = (pixel_size_angstrom, pixel_size_angstrom, pixel_size_angstrom)


def _open(path: Path) -> IO[bytes]:
    """Open a file for reading its uncompressed bytes; compression shows in the first bytes, whatever the name."""
    with path.open("rb") as raw:
        magic = raw.read(3)
    if magic == b"\x1f\x8b\x08":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if magic == b"BZh":
        return bz2.open(path, "rb")
    return path.open("rb")


def _layout(path: Path, stream: IO[bytes]) -> _Layout:
    from mrcfile.dtypes import HEADER_DTYPE
    from mrcfile.utils import dtype_from_mode

    raw = stream.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        raise InputError(f"{path} is not an MRC image: it ends before the end of its header; write or copy it again.")
    headers = {order: np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order))[0] for order in "<>"}
    byte_order = max(headers, key=lambda order: _plausibility(headers[order], stamped=order == _stamped_order(raw)))
    header = headers[byte_order]
    mode = int(header["mode"])
    if mode not in MODES:
        raise InputError(f"{path} is not an MRC image: its header makes no sense; check what kind of file it is.")
    columns, rows, sections = (int(header[field]) for field in ("nx", "ny", "nz"))
    extended = int(header["nsymbt"])
    sides_fit = 0 < columns <= LARGEST_SIDE and 0 < rows <= LARGEST_SIDE and sections > 0
    if not (sides_fit and 0 <= extended <= LARGEST_EXTENDED_BYTES):
        raise InputError(
            f"{path} is not an MRC image: its header says {columns} × {rows} × {sections} pixels after an extended"
            f" header of {extended} bytes; write or copy it again."
        )
    if sections > 1:
        raise _not_one_image(path, sections, volume=int(header["ispg"]) != 0 and int(header["mz"]) == sections)
    if mode not in IMAGE_MODES:
        raise InputError(
            f"{path} holds {MODES[mode]} (MRC mode {mode}): write it as a real image, such as mode 2 (float32)."
        )
    check_pixels(path, rows, columns)
    dtype = np.dtype(dtype_from_mode(mode)).newbyteorder(byte_order)
    if mode == 0 and _unsigned_bytes(raw, byte_order):
        dtype = np.dtype(np.uint8)
    layout = _Layout(MicrographHeader((rows, columns), dtype.name, _pixel_size(header)), dtype, HEADER_BYTES + extended)
    expected, size = rows * columns * dtype.itemsize, path.stat().st_size
    if isinstance(stream, io.BufferedReader):  # of a compressed file only reading it all tells the size
        if size - layout.offset < expected:
            raise _truncated(path, layout.header, expected, max(size - layout.offset, 0))
    elif isinstance(stream, gzip.GzipFile) and size * HIGHEST_GZIP_COMPRESSION < expected:
        raise _truncated(path, layout.header, expected, size)
    return layout


def _stamped_order(raw: bytes) -> str:
    """Give the byte order that the machine stamp says, little-endian where there is none."""
    return ">" if raw[212:214] == b"\x11\x11" else "<"


def _plausibility(header: Any, *, stamped: bool) -> tuple[bool, bool, bool]:
    """How well a byte order explains the header: sensible numbers count more than a stamp, which may be wrong."""
    sides_fit = all(0 < int(header[field]) <= LARGEST_SIDE for field in ("nx", "ny"))
    return int(header["mode"]) in MODES, sides_fit, stamped


def _unsigned_bytes(raw: bytes, byte_order: str) -> bool:
    """Whether IMOD wrote mode 0 as unsigned bytes, as it did before 2012 and still may."""
    stamp, flags = (int(np.frombuffer(raw, f"{byte_order}i4", 1, offset)[0]) for offset in (152, 156))
    return stamp == IMOD_STAMP and not flags & IMOD_SIGNED_BYTES


def _pixel_size(header: Any) -> float | None:
    cell, sampling = float(header["cella"]["x"]), int(header["mx"])
    if not (np.isfinite(cell) and cell > 0 and sampling > 0):
        return None
    return float(f"{cell / sampling:.6g}")  # the cell is a float32, good to about seven digits


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0:
        skipped = len(stream.read(min(count, CHUNK_BYTES)))
        if not skipped:
            break
        count -= skipped


def _truncated(path: Path, header: MicrographHeader, expected: int, held: int) -> InputError:
    rows, columns = header.shape
    return InputError(
        f"{path} is truncated: its header says {columns} × {rows} pixels of {header.dtype}, {expected} bytes, and it"
        f" holds {held}; write or copy it again."
    )


def _not_one_image(path: Path, sections: int, *, volume: bool) -> InputError:
    if volume and not path.name.lower().endswith((".mrcs", ".mrcs.gz", ".mrcs.bz2")):
        return InputError(f"{path} holds a volume of {sections} sections: give 2-D micrographs, one image a file.")
    return stack_error(path, sections)


def check_pixels(path: Path, rows: int, columns: int) -> None:
    """Refuse an image that is larger than any micrograph; shared with the other image formats.

    Raises
    ------
    InputError
        It is.
    """
    if rows * columns > LARGEST_PIXELS:
        raise InputError(
            f"{path} has {columns} × {rows} pixels by its header, more than any micrograph ({LARGEST_PIXELS} in all):"
            " write or copy it again, or cut it into pieces."
        )


def stack_error(path: Path, frames: int) -> InputError:
    """Say that a file holds frames instead of a micrograph; shared with the other image formats."""
    return InputError(
        f"{path} holds a stack of {frames} images: if they are the frames of a movie, run motion correction first and"
        " give its averages, one image a file."
    )


KIND = ImageKind(
    "an MRC image",
    (".mrc", ".mrcs", ".mrc.gz", ".mrc.bz2", ".mrcs.gz", ".mrcs.bz2"),
    read_header,
    read_pixels,
)
