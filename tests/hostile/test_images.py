"""Images whose headers lie, that unpack to more than memory holds, or name other files: refused in little memory."""

import bz2
import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pickery.errors import InputError
from pickery.formats.micrographs import find_micrographs, read_header, read_micrograph
from tests.hostile.alone import outcomes
from tests.hostile.readers import READERS

MIB = 1 << 20
MEMORY_BYTES = 384 * MIB
"""What reading any of these may take; the files have less than one MiB."""

PACKED: dict[str, Callable[[bytes], bytes]] = {"mrc": bytes, "mrc-gz": gzip.compress, "mrc-bz2": bz2.compress}
LARGEST, LEAST = (1 << 31) - 1, -(1 << 31)
HEADERS: dict[str, dict[int, int]] = {
    **{f"sides of {side}": {0: side, 4: side} for side in (LARGEST, LEAST, -1, 0, 1 << 20, 1 << 15, 30_000)},
    **{f"one side of {side}": {0: side} for side in (LARGEST, LEAST, -1, 0, (1 << 20) + 1, 1 << 20)},
    **{f"{count} sections": {8: count} for count in (LARGEST, LEAST, -1, 0, 2)},
    **{f"mode {mode}": {12: mode} for mode in (LARGEST, LEAST, -1, 3, 4, 5, 7, 13, 101, 1000)},
    **{f"extended header of {size}": {92: size} for size in (LARGEST, LEAST, -1, 1 << 26, 1 << 20)},
}


def mrc(changes: dict[int, int], order: str, pixels: bytes = bytes(768)) -> bytes:
    """Give a small image with some numbers of its header changed."""
    header = bytearray(1024)
    for place, number in {0: 16, 4: 12, 8: 1, 12: 2, **changes}.items():
        struct.pack_into(order + "i", header, place, number)
    header[212:214] = b"\x11\x11" if order == ">" else b"DD"
    return bytes(header) + pixels


def refused(files: list[tuple[str, Path]], memory_bytes: int = MEMORY_BYTES) -> None:
    for path, outcome in outcomes(files, memory_bytes=memory_bytes).items():
        assert path.name in outcome.said, path
        assert "does not fit into memory" not in outcome.said, path


def test_mrc_headers_that_lie_are_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    files = []
    for name, changes in HEADERS.items():
        for order in "<>":
            for packing, pack in PACKED.items():
                path = tmp_path / f"{name} {'big' if order == '>' else 'little'}{READERS[packing].file[3:]}"
                path.write_bytes(pack(mrc(changes, order)))
                files.append((packing, path))
    refused(files)


def test_packed_mrcs_that_hold_far_less_than_they_say_take_no_more_than_they_hold(tmp_path: Path) -> None:
    zeros = bytes(64 * MIB)
    files = []
    for name, changes in {"sides": {0: 30_000, 4: 30_000}, "extended header": {92: (1 << 26) + 1}}.items():
        for packing, pack in PACKED.items():
            if packing != "mrc":
                path = tmp_path / f"{name}{READERS[packing].file[3:]}"
                path.write_bytes(pack(mrc(changes, "<", zeros)))
                assert path.stat().st_size < MIB
                files.append((packing, path))
    refused(files)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int, depth: int = 8, colour: int = 0, interlace: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def test_pngs_that_lie_or_unpack_without_end_are_refused(tmp_path: Path) -> None:
    little, much = (b"IDAT", zlib.compress(bytes(1000))), zlib.compress(bytes(200 * MIB), 9)
    end = (b"IEND", b"")
    pictures = {
        "largest sides": png(header(LARGEST, LARGEST), little, end),
        "sides beyond four bytes": png(header(0xFFFFFFFF, 0xFFFFFFFF), little, end),
        "no sides": png(header(0, 0), little, end),
        "more pixels than any": png(header(1 << 20, 1 << 20), little, end),
        "many pixels": png(header(30_000, 30_000, 16), little, end),
        "many pixels in colour": png(header(30_000, 30_000, 16, 6), little, end),
        "many pixels, interlaced": png(header(30_000, 30_000, 1, 0, 1), little, end),
        "an unknown depth": png(header(8, 8, 77), little, end),
        "an unknown colour": png(header(8, 8, 8, 5), little, end),
        "a long text": png(header(8, 8), (b"zTXt", b"a\0\0" + much), little, end),
        "long texts": png(header(8, 8), *[(b"iTXt", b"a\0\1\0\0\0" + much[:9000])] * 20, little, end),
        "a long profile": png(header(8, 8), (b"iCCP", b"a\0\0" + much), (b"IDAT", b"x"), end),
        "a chunk longer than the file": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", LARGEST) + b"IHDR",
        "no header": png(little, end),
        "no pixels": png(header(8, 8), end),
    }
    files = []
    for name, data in pictures.items():
        (tmp_path / f"{name}.png").write_bytes(data)
        files.append(("png", tmp_path / f"{name}.png"))
    refused(files)


def test_a_small_png_whose_pixels_go_on_is_read_without_them(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + bytes([row] * 8) for row in range(8))
    path = tmp_path / "long.png"
    path.write_bytes(png(header(8, 8), (b"IDAT", zlib.compress(rows + bytes(300 * MIB))), (b"IEND", b"")))
    (outcome,) = outcomes([("png", path)], memory_bytes=64 * MIB).values()
    assert not outcome.said or path.name in outcome.said


def test_jpegs_that_lie_or_go_over_their_pixels_again_and_again_are_refused(tmp_path: Path) -> None:
    written = io.BytesIO()
    Image.fromarray(np.full((3000, 3000), 100, np.uint8)).save(written, "JPEG", progressive=True)
    progressive = written.getvalue()
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    grey = next(path for path in READERS["jpeg"].corpus() if path.name == "grey.jpg").read_bytes()
    frame = grey.index(b"\xff\xc0") + 5
    sides = {side: grey[:frame] + struct.pack(">HH", side, side) + grey[frame + 4 :] for side in (0, 30_000, 65_535)}
    pictures = {
        "scans": progressive[:-2] + last * 5000 + b"\xff\xd9",
        "no pixels": grey[: frame + 20],
        **{f"sides of {side}": data for side, data in sides.items()},
    }
    files = []
    for name, data in pictures.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
        files.append(("jpeg", tmp_path / f"{name}.jpg"))
    refused(files)


def tiff(**changes: tuple[int, int, int]) -> bytes:
    """Give a TIFF of 64 x 64 pixels in one strip; changes are tag → (type, count, value), `strip` its bytes."""
    tags: dict[int, tuple[int, int, int]] = {256: (4, 1, 64), 257: (4, 1, 64), 258: (3, 1, 8), 259: (3, 1, 1)}
    tags |= {262: (3, 1, 1), 273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, 64), 279: (4, 1, 4096)}
    tags |= {int(name[1:]): value for name, value in changes.items()}
    return _laid_out(tags, bytes(range(256)) * 16)


def _laid_out(tags: dict[int, tuple[int, int, int]], strip: bytes, following: int = 0) -> bytes:
    strip += b"\0" * (len(strip) % 2)
    directory = struct.pack("<H", len(tags))
    for tag, (kind, count, value) in sorted(tags.items()):
        directory += struct.pack("<HHII", tag, kind, count, value)
    return struct.pack("<2sHI", b"II", 42, 8 + len(strip)) + strip + directory + struct.pack("<I", following)


def packed_tiff(compression: int, strip: bytes) -> bytes:
    tags = {256: (4, 1, 64), 257: (4, 1, 64), 258: (3, 1, 8), 259: (3, 1, compression), 262: (3, 1, 1)}
    tags |= {273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, 64), 279: (4, 1, len(strip))}
    return _laid_out(tags, strip)


def test_tiffs_that_lie_or_lead_round_in_circles_are_refused(tmp_path: Path) -> None:
    plain = tiff()
    start = struct.unpack_from("<I", plain, 4)[0]
    end = len(plain) - 4
    pictures = {
        "largest sides": tiff(_256=(4, 1, 0xFFFFFFFF), _257=(4, 1, 0xFFFFFFFF)),
        "many pixels": tiff(_256=(4, 1, 30_000), _257=(4, 1, 30_000)),
        "no sides": tiff(_256=(4, 1, 0), _257=(4, 1, 0)),
        "many samples": tiff(_277=(3, 1, 65_535)),
        "many bits": tiff(_258=(3, 1, 65_535)),
        "an unknown compression": tiff(_259=(3, 1, 4711)),
        "a strip beyond the end": tiff(_273=(4, 1, 1 << 30)),
        "a strip of nothing": tiff(_279=(4, 1, 0)),
        "strips beyond memory": tiff(_273=(4, 0xFFFFFFFF, 8), _279=(4, 0xFFFFFFFF, 8)),
        "packed tiles beyond memory": tiff(
            _259=(3, 1, 8), _322=(4, 1, 1 << 31), _323=(4, 1, 1 << 31), _324=(4, 1, 8), _325=(4, 1, 4096)
        ),
        "the same directory without end": plain[:end] + struct.pack("<I", start),
        "further directories in a circle": tiff(_330=(4, 1, start)),
        "more entries than any": tiff(_330=(4, 1 << 30, 8)),
        "nothing but a header": plain[:8],
        "the start elsewhere": b"II*\0\xff\xff\xff\xff" + plain[8:],
        "big, with entries without end": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 64,
    }
    files = []
    for name, data in pictures.items():
        (tmp_path / f"{name}.tif").write_bytes(data)
        files.append(("tiff", tmp_path / f"{name}.tif"))
    (tmp_path / "good.tif").write_bytes(plain)
    assert read_header(tmp_path / "good.tif").shape == (64, 64)
    refused(files)


def test_tiffs_that_unpack_to_more_than_their_pixels_take_no_more_memory(tmp_path: Path) -> None:
    import imagecodecs

    zeros = bytes(600 * MIB)
    strips = {
        "deflate": packed_tiff(8, zlib.compress(zeros, 9)),
        "zstd": packed_tiff(50_000, imagecodecs.zstd_encode(zeros)),
        "lzw": packed_tiff(5, imagecodecs.lzw_encode(zeros[: 64 * MIB])),
        "packbits": packed_tiff(32_773, b"\x81\0" * 500_000),
    }
    files = []
    for name, data in strips.items():
        (tmp_path / f"{name}.tif").write_bytes(data)
        files.append(("tiff", tmp_path / f"{name}.tif"))
    for path, outcome in outcomes(files, memory_bytes=MEMORY_BYTES).items():
        assert path.name in outcome.said, path  # read as zeros it is the same everywhere


def test_a_tiff_opens_no_other_file_that_it_names(tmp_path: Path) -> None:
    """OME-TIFFs, and those of Micro-Manager, name the files that hold the rest of an image."""
    secret = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", secret)
    own = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    described = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="64" SizeY="64" SizeC="1"'
        ' SizeZ="1" SizeT="1"><TiffData IFD="0" PlaneCount="1"><UUID FileName="../secret.tif">urn:uuid:2</UUID>'
        "</TiffData></Pixels></Image></OME>"
    )
    path = tmp_path / "in" / "mic.ome.tif"
    tifffile.imwrite(path, own, description=described, metadata=None, photometric="minisblack")
    np.testing.assert_array_equal(read_micrograph(path), own)


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mrc")
    (tmp_path / "zero.mrc").symlink_to("/dev/zero")
    for source in (tmp_path, tmp_path / "pipe.mrc", tmp_path / "zero.mrc"):
        with pytest.raises(InputError, match="a pipe or a device"):
            find_micrographs(str(source))
