"""Tables, STAR, JSON and CryoSPARC files of strange shapes: read or refused with a sentence, in little memory."""

import io
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pickery.errors import InputError
from pickery.formats.conversion import by_micrograph
from pickery.formats.micrographs import find_micrographs
from pickery.formats.picks import read_picks, write_picks
from tests.hostile.alone import outcomes

MIB = 1 << 20
MANY = 100_000


def star(columns: int, rows: int = 1, blocks: int = 1) -> str:
    names = ["rlnCoordinateX", "rlnCoordinateY", *(f"rlnX{number}" for number in range(columns))]
    head = "".join(f"_{name} #{number}\n" for number, name in enumerate(names, 1))
    return f"data_\n\nloop_\n{head}{('1 ' * (columns + 2) + chr(10)) * rows}\n" * blocks


TEXTS: dict[str, tuple[str, str]] = {
    "a hundred thousand columns": ("star", star(MANY)),
    "a hundred thousand columns and rows of them": ("star", star(MANY, 20)),
    "a hundred thousand columns without picks": ("star", star(MANY).replace("Coordinate", "Other")),
    "a hundred thousand blocks": ("star", "data_a\n\nloop_\n_rlnB #1\n1\n" * MANY),
    "a hundred thousand single values": ("star", "data_\n" + "_rlnA 1\n" * MANY),
    "quotes without end": ("star", "data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n" + "' \" " * MANY + "\n"),
    "a line of a million words": ("star", "data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n" + "1 " * 1_000_000),
    "a list of a hundred thousand micrographs": (
        "list-star",
        "data_micrographs\n\nloop_\n_rlnMicrographName\n" + "".join(f"../../{n}/mic.mrc\n" for n in range(MANY)),
    ),
    "names of a million signs": ("star", "data_\n\nloop_\n" + f"_{'x' * 1_000_000}\n" * 5 + "1 2 3 4 5\n"),
    "columns of a table": ("table", "\t".join(f"c{number}" for number in range(MANY)) + "\n"),
    "columns of picks": (
        "table",
        "image_name\tx_coord\ty_coord" + "\tx" * MANY + "\n" + "mic\t1\t2" + "\t" * MANY + "\n",
    ),
    "a quote that never ends": ("csv", 'image_name,x_coord,y_coord\n"mic' + ",1,2\n" * MANY),
    "a number of a million digits": ("table", "image_name\tx_coord\ty_coord\nmic\t" + "9" * 1_000_000 + "\t2\n"),
    "numbers beyond all measure": ("box", "1e308\t1e308\t1e308\t1e308\n"),
    "values in a row": ("box", "1 " * MANY + "\n"),
    "a list name of thousands of digits": ("list-text", "1" * 9000 + ".mrc\n2.mrc\n"),
    "lists in one another": ("eman2", '{"boxes": ' + "[" * MANY + "]" * MANY + "}"),
    "dicts in one another": ("eman2", '{"boxes": [' * MANY + "1" + "]}" * MANY),
    "a box of lists in one another": ("eman2", '{"boxes": [' + "[" * 900 + "]" * 900 + "]}"),
    "a coordinate of a million digits": ("eman2", '{"boxes": [[' + "9" * 1_000_000 + ", 1]]}"),
    "a coordinate beyond all measure": ("eman2", '{"boxes": [[1e999, 1]]}'),
    "a coordinate of three hundred digits": ("eman2", '{"boxes": [[' + "9" * 300 + ", 1]]}"),
    "boxes that are a number": ("eman2", '{"boxes": 1}'),
    "columns of a cbox": ("cbox", "data_cryolo\n\nloop_\n" + "".join(f"_c{n}\n" for n in range(MANY)) + "1 " * MANY),
    "polygons without end": (
        "mask-polygons",
        "image_name,polygon,x_coord,y_coord\n" + "".join(f"mic,1,{n % 97},{n % 89}\n" for n in range(20_000)),
    ),
    "vertices beyond all measure": (
        "mask-polygons",
        "image_name,polygon,x_coord,y_coord\n" + "mic,1,1e300,-1e300\n" * 3,
    ),
    "an index of lists in one another": ("prepared-index", "[" * MANY),
    "a record of lists in one another": ("run-record", "[" * MANY),
    "an operation of lists in one another": ("journal", "[" * MANY + "\n{}\n"),
}
READ = {"a hundred thousand columns", "a hundred thousand columns and rows of them", "columns of picks"} | {
    "a list of a hundred thousand micrographs",
    "a list name of thousands of digits",
    "polygons without end",
    "values in a row",
}


def test_text_of_any_shape_is_read_or_refused(tmp_path: Path) -> None:
    from tests.hostile.readers import READERS

    files, said = [], {}
    for number, (name, (reader, text)) in enumerate(TEXTS.items()):
        path = READERS[reader].place(tmp_path / str(number))
        path.write_text(text)
        files.append((reader, path))
        said[path] = name
    came = outcomes(files, memory_bytes=768 * MIB, seconds=120)
    assert {said[path] for path, outcome in came.items() if not outcome.said} == READ


def npy(rows: Any, *, shape: str | None = None, descr: str | None = None, allow_pickle: bool = False) -> bytes:
    """Give an array as numpy writes it, with other words in its header."""
    written = io.BytesIO()
    np.lib.format.write_array(written, rows, version=(1, 0), allow_pickle=allow_pickle)
    data = written.getvalue()
    length = 10 + int.from_bytes(data[8:10], "little")
    header = data[10:length].decode()
    if shape is not None:
        header = header.replace(f"'shape': {rows.shape}", f"'shape': {shape}")
    if descr is not None:
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape or rows.shape}, }}\n"
    return b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header.encode() + data[length:]


FIELDS = [
    ("uid", "<u8"),
    ("location/micrograph_uid", "<u8"),
    ("location/exp_group_id", "<u4"),
    ("location/micrograph_path", "S12"),
    ("location/micrograph_shape", "<u4", (2,)),
    ("location/micrograph_psize_A", "<f4"),
    ("location/center_x_frac", "<f4"),
    ("location/center_y_frac", "<f4"),
    ("pick_stats/ncc_score", "<f4"),
]


def rows_of_picks(**kinds: Any) -> Any:
    """Give two picks; a field named by its last word may be of another kind."""
    fields = [(name, *kinds.get(name.rpartition("/")[2], tuple(rest))) for name, *rest in FIELDS]
    rows = np.zeros(2, fields)
    if rows["location/micrograph_path"].dtype.kind == "S":
        rows["location/micrograph_path"] = b"J1/mic.mrc"
    if rows["location/micrograph_shape"].dtype.kind in "iu":
        rows["location/micrograph_shape"] = 100
    return rows


class Touch:
    """Pickles as a call that makes a file."""

    def __reduce__(self) -> Any:
        return open, ("BAD", "w")


OTHER_KINDS: dict[str, tuple[Any, ...]] = {
    "micrograph_path": ("<f8",),
    "micrograph_shape": ("S4", (2,)),
    "center_x_frac": ("<f4", (3,)),
    "center_y_frac": ("S8",),
    "ncc_score": ("<f4", (2,)),
    "micrograph_uid": ("<f8",),
    "exp_group_id": ("<u8", (2,)),
    "micrograph_psize_A": ("S5",),
}


def test_cryosparc_files_that_hold_what_is_no_pick_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.array([Touch(), Touch()], object)
    fielded = np.zeros(2, [(name, "O") if "path" in name else (name, *rest) for name, *rest in FIELDS])
    fielded["location/micrograph_path"] = objects
    good = rows_of_picks()
    files = {
        "objects": npy(objects, allow_pickle=True),
        "objects in a field": npy(fielded, allow_pickle=True),
        "a pickle": pickle.dumps(objects),
        "rows that are not there": npy(good, shape=f"({1 << 60},)"),
        "fewer than no rows": npy(good, shape="(-1,)"),
        "rows in rows": npy(good, shape="(1, 1, 1, 2)"),
        "a header of brackets": b"\x93NUMPY\x02\x00" + (900_000).to_bytes(4, "little") + b"[" * 900_000,
        "a header of code": npy(good, descr="__import__('os').system('touch BAD')"),
        "a header beyond the file": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{",
        "fields without end": npy(good, descr=str([(f"f{number}", "<u1") for number in range(50_000)]), shape="(0,)"),
        "a field beyond memory": npy(good, descr=f"[('uid', '<u8', ({1 << 40},))]", shape="(1,)"),
        "a name beyond memory": npy(good, descr=f"[('location/micrograph_path', 'S{(1 << 31) - 1}')]", shape="(1000,)"),
        "no fields": npy(np.zeros(4)),
        **{f"another {name}": npy(rows_of_picks(**{name: kind})) for name, kind in OTHER_KINDS.items()},
    }
    for name, (field, value) in {
        "size nought": ("location/micrograph_shape", 0),
        "size beyond any": ("location/micrograph_shape", (1 << 32) - 1),
        "place nan": ("location/center_x_frac", np.nan),
        "place without end": ("location/center_y_frac", np.inf),
        "nameless": ("location/micrograph_path", b""),
        "a line end": ("location/micrograph_path", b"a\nb.mrc"),
        "a zero byte": ("location/micrograph_path", b"a\0b.mrc"),
    }.items():
        rows = rows_of_picks()
        rows[field][1] = value
        files[name] = npy(rows)
    asked = []
    for name, data in files.items():
        (tmp_path / f"{name}.cs").write_bytes(data)
        asked.append(("cryosparc", tmp_path / f"{name}.cs"))
    (tmp_path / "good.cs").write_bytes(npy(good))
    assert len(read_picks(str(tmp_path / "good.cs"))) == 2
    for path, outcome in outcomes(asked, memory_bytes=512 * MIB, seconds=60).items():
        assert path.name in outcome.said, path
    assert not (tmp_path / "BAD").exists()


def test_packed_cryosparc_files_that_unpack_without_end_are_refused(tmp_path: Path) -> None:
    """One name of 8 MB, and ten thousand short ones: with fixed widths, 80 GB."""
    from cryosparc.dataset import CSDAT_FORMAT, Dataset

    count = 10_000
    names = ["x" * (8 * MIB), *["y"] * (count - 1)]
    data = Dataset([("uid", np.arange(count, dtype=np.uint64)), ("location/micrograph_path", np.array(names, object))])
    with (tmp_path / "wide.cs").open("wb") as file:
        data.save(file, format=CSDAT_FORMAT)
    assert (tmp_path / "wide.cs").stat().st_size < 16 * MIB
    whole = (tmp_path / "wide.cs").read_bytes()
    (tmp_path / "cut.cs").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "promised.cs").write_bytes(whole[:6] + struct.pack("<I", 0x7FFFFFFF) + whole[10:])
    files = [("cryosparc-packed", path) for path in tmp_path.iterdir()]
    for path, outcome in outcomes(files, memory_bytes=1024 * MIB, seconds=120).items():
        assert path.name in outcome.said, path


CLIMBING = [
    "../../escaped/x.mrc",
    "/etc/escaped.mrc",
    "..",
    ".",
    "a/../../escaped.mrc",
    "../x.mrc",
    "b/x.mrc",
    "./x.mrc",
]


@pytest.mark.parametrize("ending", ["star", "txt", "csv", "box", "json", "cbox"])
def test_names_that_climb_out_write_nothing_outside_the_folder_given(tmp_path: Path, ending: str) -> None:
    """Of each name only the last part, with so many folders before it as tell two apart, names a file."""
    table = tmp_path / "picks.csv"
    inside = tmp_path / "a" / "b" / "c" / "out"
    for names in ([name] for name in CLIMBING), [CLIMBING[:2], CLIMBING[4:]]:
        for chosen in names:
            table.write_text("image_name,x_coord,y_coord\n" + "".join(f"{name},1,2\n" for name in chosen))
            gathered = by_micrograph(read_picks(str(table)))
            try:
                written = write_picks(inside, gathered.picks, format=ending, box_size_px=10).files
            except InputError as error:
                assert "no name of a micrograph" in str(error) or "stand for one micrograph" in str(error)  # noqa: PT017
                continue
            assert all(file.resolve().is_relative_to(inside) for file in written)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(inside)]
    assert outside == [table]


def test_names_in_cryosparc_files_that_climb_out_write_nothing_outside(tmp_path: Path) -> None:
    rows = rows_of_picks(micrograph_path=("S40",))
    rows["location/micrograph_path"] = [b"../../../escaped/x.mrc", b"../x.mrc"]
    (tmp_path / "picks.cs").write_bytes(npy(rows))
    inside = tmp_path / "a" / "out"
    gathered = by_micrograph(read_picks(str(tmp_path / "picks.cs")))
    for ending in ("cs", "star", "box"):
        for file in write_picks(inside, gathered.picks, format=ending, box_size_px=10).files:
            assert file.resolve().is_relative_to(inside)


def test_picks_open_no_file_that_they_name(tmp_path: Path) -> None:
    """A micrograph's name in a file of picks is compared with the names of those given, and never opened."""
    (tmp_path / "in").mkdir()
    (tmp_path / "picks.csv").write_text(f"image_name,x_coord,y_coord\n{tmp_path}/in/gone.mrc,1,2\n/dev/zero,1,2\n")
    assert set(by_micrograph(read_picks(str(tmp_path / "picks.csv"))).picks[0].points.ravel()) == {1, 2}


def test_a_list_of_micrographs_names_images_only(tmp_path: Path) -> None:
    for name in ("/etc/passwd", "../../etc/x", "/dev/zero"):
        (tmp_path / "list.txt").write_text(f"a.mrc\n{name}\n")
        with pytest.raises(InputError, match="no micrograph by its ending"):
            find_micrographs(str(tmp_path / "list.txt"))


def test_eman2_files_that_stand_there_and_are_something_else_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "picks.csv").write_text("image_name,x_coord,y_coord\nmic,1,2\n")
    gathered = by_micrograph(read_picks(str(tmp_path / "picks.csv")))
    path = tmp_path / "mic_info.json"
    for text in ("[" * MANY, json.dumps([1]), "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match=r"mic_info\.json"):
            write_picks(path, gathered.picks)
        assert path.read_text(encoding="latin-1") == text
