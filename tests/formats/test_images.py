import bz2
import gzip
import struct
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pickery.errors import InputError
from pickery.formats.micrographs import MicrographHeader, read_header, read_micrograph, write_mrc

IMAGE = np.random.default_rng(0).integers(0, 100, (5, 7))
MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}


def mrc(
    path: Path,
    image: NDArray[np.generic] = IMAGE,
    *,
    mode: int = 2,
    order: str = "<",
    stamp: bool = True,
    cell: tuple[float, int] = (0.0, 0),
    sections: int = 1,
    group: int = 0,
    extended: bytes = b"",
) -> Path:
    """Write an MRC field by field, so that what is read is not judged by the library that wrote it."""
    rows, columns = image.shape[-2:]
    header = bytearray(1024)
    struct.pack_into(f"{order}10i", header, 0, columns, rows, sections, mode, 0, 0, 0, cell[1], 0, sections)
    struct.pack_into(f"{order}f", header, 40, cell[0])
    struct.pack_into(f"{order}2i", header, 88, group, len(extended))
    if stamp:
        header[208:212] = b"MAP "
        header[212:214] = b"\x44\x44" if order == "<" else b"\x11\x11"
    pixels = image.astype(np.dtype(MODES.get(mode, np.complex64)).newbyteorder(order))
    path.write_bytes(bytes(header) + extended + pixels.tobytes() * sections)
    return path


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stamp", [True, False])
def test_mrc_of_every_mode_and_byte_order_is_read_with_or_without_identifier(
    tmp_path: Path, mode: int, order: str, stamp: bool
) -> None:
    path = mrc(tmp_path / "a.mrc", mode=mode, order=order, stamp=stamp, cell=(7 * 1.06, 7), extended=b"x" * 60)
    assert read_header(path) == MicrographHeader((5, 7), np.dtype(MODES[mode]).name, 1.06)
    image = read_micrograph(path)
    assert image.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize(("ending", "compress"), [(".mrc.gz", gzip.compress), (".mrc.bz2", bz2.compress)])
def test_compressed_mrc_is_the_plain_one(tmp_path: Path, ending: str, compress: type[bytes]) -> None:
    plain = mrc(tmp_path / "a.mrc", mode=6)
    packed = tmp_path / f"b{ending}"
    packed.write_bytes(compress(plain.read_bytes()))
    assert read_header(packed) == read_header(plain)
    np.testing.assert_array_equal(read_micrograph(packed), read_micrograph(plain))
    packed.write_bytes(compress(plain.read_bytes()[:-3]))
    with pytest.raises(InputError, match="truncated"):
        read_micrograph(packed)
    packed.write_bytes(compress(plain.read_bytes())[:-20])
    with pytest.raises(InputError, match=r"b\.mrc"):
        read_micrograph(packed)


def test_unsigned_bytes_of_imod_are_not_read_as_signed(tmp_path: Path) -> None:
    path = mrc(tmp_path / "a.mrc", (IMAGE * 2.5).astype(np.uint8).view(np.int8), mode=0)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2i", data, 152, 1146047817, 0)
    path.write_bytes(bytes(data))
    np.testing.assert_array_equal(read_micrograph(path), (IMAGE * 2.5).astype(np.uint8))
    struct.pack_into("<2i", data, 152, 1146047817, 1)
    path.write_bytes(bytes(data))
    assert read_micrograph(path).min() < 0


def test_header_of_a_large_mrc_is_read_without_its_pixels(tmp_path: Path) -> None:
    path = mrc(tmp_path / "a.mrc")
    with path.open("r+b") as handle:
        handle.write(struct.pack("<2i", 32_768, 32_768))
        handle.truncate(1024 + 4 * 32_768**2)  # sparse: 4 GB that nobody need read
    assert read_header(path).shape == (32_768, 32_768)


def test_stack_is_refused_with_a_word_on_motion_correction_and_a_volume_without(tmp_path: Path) -> None:
    for path in (mrc(tmp_path / "a.mrc", sections=3), mrc(tmp_path / "a.mrcs", sections=3, group=1)):
        with pytest.raises(InputError, match=r"stack of 3 images.*motion correction"):
            read_header(path)
    with pytest.raises(InputError, match="volume of 3 sections"):
        read_micrograph(mrc(tmp_path / "b.mrc", sections=3, group=1))
    assert read_micrograph(mrc(tmp_path / "c.mrcs")).shape == (5, 7)
    assert read_micrograph(mrc(tmp_path / "d.mrc", group=1)).shape == (5, 7)


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ((0, "<i", -7), "says -7 × 5 × 1 pixels"),
        ((8, "<i", 0), "says 7 × 5 × 0 pixels"),
        ((92, "<i", -1), "extended header of -1 bytes"),
        ((92, "<i", 2**31 - 1), "extended header of 2147483647 bytes"),
        ((92, "<i", 2**20), "truncated"),
        ((12, "<i", 4), "mode 4"),
        ((12, "<i", 77), "not an MRC image"),
        ((0, "<i", 8), "truncated.*says 8 × 5 pixels of float32, 160 bytes, and it holds 140"),
    ],
)
def test_broken_mrc_header_is_named(tmp_path: Path, patch: tuple[int, str, int], words: str) -> None:
    path = mrc(tmp_path / "broken.mrc")
    data = bytearray(path.read_bytes())
    offset, kind, value = patch
    struct.pack_into(kind, data, offset, value)
    path.write_bytes(bytes(data))
    for read in (read_header, read_micrograph):
        with pytest.raises(InputError, match=rf"broken\.mrc.*{words}"):
            read(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_counted(tmp_path: Path, value: float) -> None:
    image = IMAGE.astype(np.float32)
    image[2, 3] = image[4, 4] = value
    with pytest.raises(InputError, match="2 pixels that are not finite"):
        read_micrograph(mrc(tmp_path / "a.mrc", image))


def test_constant_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every pixel is 3"):
        read_micrograph(mrc(tmp_path / "a.mrc", np.full((4, 4), 3)))


@pytest.mark.parametrize("name", ["a.mrc", "a.tif", "a.png", "a.dm4"])
def test_missing_file_folder_and_unknown_ending_are_input_errors(tmp_path: Path, name: str) -> None:
    for read in (read_header, read_micrograph):
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=name):
        read_header(tmp_path / name)


def test_file_without_permission_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **settings: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = mrc(tmp_path / "a.mrc")
    monkeypatch.setattr(Path, "open", refuse)  # not chmod: the tests may run as root
    with pytest.raises(InputError, match="permissions"):
        read_header(path)


def test_written_mrc_is_read_back_and_valid(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.mrc"
    image = IMAGE.astype(np.float32) / 3
    for pixel_size in (0.66, None):
        write_mrc(path, image, pixel_size_angstrom=pixel_size)
        assert read_header(path) == MicrographHeader((5, 7), "float32", pixel_size)
        np.testing.assert_array_equal(read_micrograph(path), image)
    write_mrc(path, image, pixel_size_angstrom=1.5)
    assert mrcfile.validate(path)
    assert list(path.parent.iterdir()) == [path]


def test_interrupted_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mrc"
    write_mrc(path, IMAGE, pixel_size_angstrom=None)
    before = path.read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mrcfile.mrcfile.MrcFile.set_data", fail)
    with pytest.raises(InputError, match=r"a\.mrc cannot be written \(No space left"):
        write_mrc(path, IMAGE + 1, pixel_size_angstrom=None)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_write_into_a_file_as_folder_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_mrc(tmp_path / "file" / "a.mrc", IMAGE, pixel_size_angstrom=None)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64, np.float16])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_tiff_of_every_type_is_read(tmp_path: Path, dtype: type, compression: str | None, order: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE.astype(dtype), compression=compression, byteorder=order, photometric="minisblack")
    assert read_header(path) == MicrographHeader((5, 7), np.dtype(dtype).name, None)
    image = read_micrograph(path)
    assert image.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(image, IMAGE)


def test_pixel_size_of_a_tiff_is_read_where_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE.astype(np.uint8), resolution=(1e8 / 1.25, 1e8 / 1.25), resolutionunit="CENTIMETER")
    assert read_header(path).pixel_size_angstrom == pytest.approx(1.25)
    tifffile.imwrite(path, IMAGE.astype(np.uint8), resolution=(72, 72), resolutionunit="INCH")
    assert read_header(path).pixel_size_angstrom is None


def test_tiff_stack_and_truncated_tiff_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([IMAGE] * 4).astype(np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match=r"stack of 4 images.*motion correction"):
        read_header(path)
    for compression in (None, "zlib"):
        tifffile.imwrite(path, IMAGE.astype(np.uint16), compression=compression, photometric="minisblack")
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(InputError, match=r"a\.tif"):
            read_micrograph(path)


def test_complex_tiff_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE.astype(np.complex64), photometric="minisblack")
    with pytest.raises(InputError, match="real greyscale"):
        read_micrograph(tmp_path / "a.tif")


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_colour_is_refused_unless_it_is_grey(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    grey = np.stack([IMAGE] * 3, axis=2).astype(np.uint8)
    for planar in (False, True) if ending == ".tif" else (False,):
        for pixels in (grey, grey + np.uint8([0, 0, 1])):
            if ending == ".png":
                Image.fromarray(pixels).save(path)
            elif planar:
                tifffile.imwrite(path, np.moveaxis(pixels, 2, 0), photometric="rgb", planarconfig="separate")
            else:
                tifffile.imwrite(path, pixels, photometric="rgb")
            assert read_header(path).shape == (5, 7)
            if pixels is grey:
                np.testing.assert_array_equal(read_micrograph(path), IMAGE)
            else:
                with pytest.raises(InputError, match="in colour"):
                    read_micrograph(path)


@pytest.mark.parametrize(
    ("mode", "dtype"), [("L", "uint8"), ("I;16", "uint16"), ("1", "bool"), ("LA", "uint8"), ("P", "uint8")]
)
def test_grey_png_of_every_mode_is_read(tmp_path: Path, mode: str, dtype: str) -> None:
    if mode == "I;16":
        expected = IMAGE * 600
        picture = Image.fromarray(expected.astype(np.uint16))
    else:
        expected = (IMAGE > 50) * 255
        picture = Image.fromarray(expected.astype(np.uint8)).convert(mode)
    if mode == "1":
        expected = expected // 255
    picture.save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png") == MicrographHeader((5, 7), dtype, None)
    np.testing.assert_array_equal(read_micrograph(tmp_path / "a.png"), expected)


def test_png_larger_than_pillow_likes_is_read(tmp_path: Path) -> None:
    side = 9500  # 90 million pixels, as of a K3 camera in super-resolution
    pixels = np.zeros((side, side), bool)
    pixels[0, 0] = True
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").shape == (side, side)


def test_jpeg_is_read_by_what_it_is_and_truncated_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.tile(IMAGE, (20, 20)).astype(np.uint8)).save(path, format="jpeg", quality=100)
    assert read_header(path) == MicrographHeader((100, 140), "uint8", None)
    assert np.abs(read_micrograph(path) - np.tile(IMAGE, (20, 20))).mean() < 2
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"a\.png"):
        read_micrograph(path)
    Image.fromarray(IMAGE.astype(np.uint8)).convert("CMYK").save(tmp_path / "b.jpg")
    with pytest.raises(InputError, match="in colour"):
        read_micrograph(tmp_path / "b.jpg")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("samples")
    tifffile.imwrite(folder / "a.tif", IMAGE.astype(np.uint16), compression="lzw", photometric="minisblack")
    Image.fromarray(IMAGE.astype(np.uint8)).save(folder / "a.png")
    Image.fromarray(IMAGE.astype(np.uint8)).save(folder / "a.jpg")
    mrc(folder / "a.mrc")
    (folder / "a.mrc.gz").write_bytes(gzip.compress((folder / "a.mrc").read_bytes()))
    return {path.name[1:]: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_images_raise_nothing_but_input_errors(samples: dict[str, bytes], data: st.DataObject) -> None:
    ending = data.draw(st.sampled_from(sorted(samples)))
    content = bytearray(samples[ending])
    damage = data.draw(st.sampled_from(["junk", "cut", "change"]))
    if damage == "junk":
        content = bytearray(data.draw(st.binary(max_size=1200)))
    elif damage == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        path.write_bytes(bytes(content))
        for read in (read_header, read_micrograph):
            message = ""
            try:
                read(path)
            except InputError as error:
                message = str(error)
            assert not message or str(path) in message
