"""Every reader of files that others may have made, in one table, for fuzzers and tests.

A reader takes the path of one file, whatever its contents, and may raise nothing but InputError. Its corpus lies under
`corpus/NAME/`: small good files, and bad ones that once broke it.
"""

import bz2
import gzip
import io
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pickery.errors import PickeryWarning

CORPUS = Path(__file__).parent / "corpus"
Change = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Reader:
    """How a kind of file is read.

    Attributes
    ----------
    name
        Also that of the folder of its corpus.
    file
        The file's name.
    read
        Path → anything, or InputError.
    inputs
        How many changed files the tests try.
    inside
        (file, change) → the file with a change made to what is packed in it, and its checksums right again; None where
        nothing is packed.
    beside
        Folder of the corpus with the files that lie beside the one that is read, "" for none.
    """

    name: str
    file: str
    read: Callable[[Path], object]
    inputs: int
    beside: str = ""
    inside: Callable[[bytes, Change], bytes] | None = None

    def corpus(self) -> list[Path]:
        """Give the files to begin from."""
        return sorted(path for path in (CORPUS / self.name).iterdir() if path.is_file())

    def place(self, folder: Path) -> Path:
        """Lay out what lies beside the file in a folder, and give the file's own path."""
        path = folder / self.file
        if self.beside:
            shutil.copytree(CORPUS / self.beside, folder, dirs_exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def __call__(self, path: Path) -> object:
        """Read a file; what Pickery warns of is no fault."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", PickeryWarning)
            return self.read(path)


def _image(path: Path) -> object:
    from pickery.formats.micrographs import read_header, read_micrograph

    header = read_header(path)
    pixels = read_micrograph(path)
    assert pixels.shape == header.shape
    return pixels


def _mask(path: Path) -> object:
    from pickery.formats.masks import find_masks
    from pickery.formats.micrographs import MicrographFile

    shape = (16, 24)
    found = find_masks(str(path), [MicrographFile("mic", path.parent / "mic.mrc")], {"mic": shape})
    return found["mic"].read().regions((4, 6), (4.0, 4.0))


def _picks(path: Path) -> object:
    """Read picks, assign them, and write them as a table and as a folder of boxes."""
    from pickery.formats.conversion import by_micrograph
    from pickery.formats.micrographs import MicrographFile
    from pickery.formats.picks import assign_picks, read_picks, write_picks

    table = read_picks(str(path), may_be_empty=True)
    gathered = by_micrograph(table)
    out = path.parent / "out"
    try:
        write_picks(out / "all.csv", gathered.picks)
        if any(len(one) for one in gathered.picks):
            write_picks(out / "boxes", gathered.picks, format="box", box_size_px=10)
    finally:
        _only(path.parent, {path, out})
        shutil.rmtree(out, ignore_errors=True)
    if len(table):
        mics = [MicrographFile("mic", path.parent / "mic.mrc"), MicrographFile("mic2", path.parent / "mic2.mrc")]
        return assign_picks(table, mics, {"mic": (200, 300), "mic2": (200, 300)})
    return table


def _only(folder: Path, expected: set[Path]) -> None:
    """Check that nothing else was written into a folder."""
    strange = set(folder.iterdir()) - expected
    assert not strange, f"written outside the folder given: {strange}"


def _micrographs(path: Path) -> object:
    from pickery.formats.micrographs import find_micrographs

    return find_micrographs(str(path), absent_too=True)


def _model(path: Path) -> object:
    from pickery.model.weights import load_weights
    from pickery.picking.model import build_network, open_model

    build_network(load_weights(str(path)))
    return open_model(str(path), root=path.parent, uri=None)


def _last(path: Path) -> object:
    from pickery.training.callbacks import find_checkpoint

    return find_checkpoint(path)


def _index(path: Path) -> object:
    from pickery.preprocess.index import read_index

    return read_index(path.parent)


def _contents(path: Path) -> object:
    from pickery.preprocess.contents import content_hashes

    return content_hashes([path], path.parent, threads=1)


def _report(path: Path) -> object:
    from pickery.report.folder import read_run
    from pickery.report.page import render

    return render(read_run(path.parent))


def _from_run(path: Path) -> object:
    from pickery.training.earlier import expanded

    return expanded("train", [f"from_run={path.parent}", "tracking=off"])


def _record(path: Path) -> object:
    from pickery.training.record import read_record
    from pickery.training.run_folder import RunFolder

    read_record(path.parent, {"data": "x"})
    with_lock = RunFolder.open(path.parent, {"data": "x"}, epochs=3, given=True)
    with_lock.close()
    return with_lock.state


def _journal(path: Path) -> object:
    from pickery.cross_validation.study.journal import Journal
    from pickery.cross_validation.study.locks import FolderLock

    return list(Journal(path, FolderLock(path.parent / ".lock")).read_logs(0))


def _candidates(path: Path) -> object:
    from pickery.picking.candidates import read_candidates

    return read_candidates(path, floor=0.0, stamp="x")


def _in_gzip(data: bytes, change: Change) -> bytes:
    return gzip.compress(change(gzip.decompress(data)), mtime=0)


def _in_bzip2(data: bytes, change: Change) -> bytes:
    return bz2.compress(change(bz2.decompress(data)))


def _in_png(data: bytes, change: Change) -> bytes:
    """Change the file, then make its chunks' checksums right."""
    data = change(data)
    place, parts = 8, [data[:8]]
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunk = data[place + 4 : place + 8 + length]
        parts.append(data[place : place + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big"))
        place += 12 + length
    return b"".join(parts)


def _in_zip(data: bytes, change: Change) -> bytes:
    """Change the first part of an archive, which of a model is its pickle; the others stay."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(written, "w") as target:
        for index, entry in enumerate(source.infolist()):
            part = source.read(entry)
            target.writestr(entry.filename, part if index else change(part))
    return written.getvalue()


READERS = {
    reader.name: reader
    for reader in (
        Reader("mrc", "mic.mrc", _image, 400),
        Reader("mrc-gz", "mic.mrc.gz", _image, 300, inside=_in_gzip),
        Reader("mrc-bz2", "mic.mrc.bz2", _image, 300, inside=_in_bzip2),
        Reader("tiff", "mic.tif", _image, 400),
        Reader("png", "mic.png", _image, 400, inside=_in_png),
        Reader("jpeg", "mic.jpg", _image, 300),
        Reader("mask-image", "mic_mask.png", _mask, 200, inside=_in_png),
        Reader("mask-polygons", "polygons.csv", _mask, 300),
        Reader("star", "mic.star", _picks, 300),
        Reader("cryosparc", "picks.cs", _picks, 300),
        Reader("cryosparc-packed", "picks.cs", _picks, 12),  # each in a process of its own
        Reader("table", "picks.txt", _picks, 300),
        Reader("csv", "picks.csv", _picks, 200),
        Reader("box", "mic.box", _picks, 300),
        Reader("eman2", "mic_info.json", _picks, 300),
        Reader("cbox", "mic.cbox", _picks, 300),
        Reader("list-text", "list.txt", _micrographs, 300),
        Reader("list-star", "list.star", _micrographs, 200),
        Reader("list-cryosparc", "list.cs", _micrographs, 200),
        Reader("model-ckpt", "model.ckpt", _model, 200, inside=_in_zip),
        Reader("model-sav", "model.sav", _model, 300, inside=_in_zip),
        Reader("last-ckpt", "last.ckpt", _last, 200, inside=_in_zip),
        Reader("prepared-index", "index.json", _index, 300, "beside-prepared"),
        Reader("prepared-contents", "contents.json", _contents, 100),
        Reader("report-summary", "summary.json", _report, 80, "beside-run"),
        Reader("report-config", "config.yaml", _report, 50, "beside-run"),
        Reader("report-metrics", "metrics.csv", _report, 60, "beside-run"),
        Reader("report-micrographs", "micrographs.csv", _report, 60, "beside-run"),
        Reader("report-cross-validation", "summary.json", _report, 50, "beside-cross-validation"),
        Reader("from-run-config", "config.yaml", _from_run, 40, "beside-run"),
        Reader("from-run-record", "run.json", _from_run, 20, "beside-run"),
        Reader("run-record", "run.json", _record, 200, "beside-run"),
        Reader("journal", "study.journal", _journal, 200),
        Reader("candidates", "mic.npz", _candidates, 200, inside=_in_zip),
    )
}
