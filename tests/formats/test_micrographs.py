import os
import tempfile
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.errors import InputError, PickeryWarning
from pickery.formats.micrographs import find_micrographs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two squares with a micrograph of the same name in each, and one more in the first."""
    for name in ("sq1/mic_2.mrc", "sq1/mic_10.mrc", "sq2/mic_2.mrc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(source: str | list[str]) -> list[str]:
    return [micrograph.name for micrograph in find_micrographs(source)]


def test_folder_gives_its_images_in_natural_order_with_absolute_paths(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("notes.txt", "._mic_3.mrc", "mic_2.xf"):
        (folder / "sq1" / other).touch()
    (folder / "sq1" / "nested.mrc").mkdir()
    monkeypatch.chdir(folder)
    found = find_micrographs("sq1")
    assert [micrograph.name for micrograph in found] == ["mic_2", "mic_10"]
    assert found[0].path == folder / "sq1" / "mic_2.mrc"


def test_extension_alone_is_stripped_from_a_name(tmp_path: Path) -> None:
    for name in ("May08_03.05.02.mrc", "b.frames.MRC.GZ", "c.mrc.bz2", "d.TIFF", "e.jpeg", "f.mrcs", "g.png"):
        (tmp_path / name).touch()
    assert names(str(tmp_path)) == ["May08_03.05.02", "b.frames", "c", "d", "e", "f", "g"]


def test_only_names_that_clash_get_as_many_folders_as_tell_them_apart(folder: Path) -> None:
    assert names(f"{folder}/*/*.mrc") == ["sq1/mic_2", "mic_10", "sq2/mic_2"]
    for deeper in ("a/sq1", "b/sq1"):
        (folder / deeper).mkdir(parents=True)
        (folder / deeper / "mic_2.mrc").touch()
    assert names(f"{folder}/**/*.mrc") == [
        "a/sq1/mic_2",
        "b/sq1/mic_2",
        f"{folder.name}/sq1/mic_2",
        "mic_10",
        "sq2/mic_2",
    ]


def test_two_files_of_one_micrograph_are_refused_with_a_glob_that_works(folder: Path) -> None:
    (folder / "sq1" / "mic_2.jpg").touch()
    with pytest.raises(InputError, match=r"data\.micrographs has both .*mic_2\.jpg and .*mic_2\.mrc.*\*\.jpg"):
        find_micrographs(str(folder / "sq1"))
    assert names(f"{folder}/sq1/*.mrc") == ["mic_2", "mic_10"]


def test_several_sources_are_joined_and_each_file_comes_once(folder: Path) -> None:
    sources = [f"{folder}/sq1/*.mrc", f"{folder}/sq1", f"{folder}/sq2/../sq1/mic_2.mrc", f"{folder}/sq2"]
    assert names(sources) == ["sq1/mic_2", "mic_10", "sq2/mic_2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "# two of them\nsq1/mic_10.mrc\n\n  sq2/mic_2.mrc  \n"),
        ("list.txt", "image_name\tpath\nmic_10\tsq1/mic_10.mrc\nmic_2\tsq2/mic_2.mrc\n"),
        ("list.csv", "# from a run\nname,path,set\nx,sq1/mic_10.mrc,train\ny,sq2/mic_2.mrc,test\n"),
        ("list.tsv", "\ufeffpath\r\nsq1/mic_10.mrc\r\nsq2/mic_2.mrc\r\n"),
        ("list.star", "data_\nloop_\n_rlnMicrographName #1\nsq1/mic_10.mrc\nsq2/mic_2.mrc\nsq2/mic_2.mrc\n"),
    ],
)
@pytest.mark.parametrize("where", ["here", "list's folder"])
def test_list_names_files_from_here_or_from_its_own_folder(
    folder: Path, name: str, text: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lists").mkdir()
    (folder / "elsewhere").mkdir()
    list_path = folder / ("lists" if where == "here" else "") / name
    list_path.write_text(text)
    monkeypatch.chdir(folder if where == "here" else folder / "elsewhere")
    assert names(str(list_path)) == ["mic_10", "mic_2"]


def test_list_may_name_files_with_blanks_and_commas_and_folders_that_look_like_a_star_block(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data_raw").mkdir()
    (folder / "data_raw" / "a, b.mrc").touch()
    (folder / "data_raw" / "c.mrc").touch()
    (folder / "list.txt").write_text("data_raw/a, b.mrc\ndata_raw/c.mrc\n")
    (folder / "list.star").write_text("data_\nloop_\n_rlnMicrographName\ndata_raw/c.mrc\n'data_raw/a, b.mrc'\n")
    monkeypatch.chdir(folder)
    assert names("list.txt") == names("list.star") == ["a, b", "c"]


def test_relion_list_counts_from_the_project_above_it(folder: Path) -> None:
    job = folder / "CtfFind" / "job003"
    job.mkdir(parents=True)
    (job / "micrographs_ctf.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 1.5\n\n\n"
        "data_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\nsq1/mic_2.mrc 1\nsq2/mic_2.mrc 1\n"
    )
    assert names(str(job / "micrographs_ctf.star")) == ["sq1/mic_2", "sq2/mic_2"]


def test_micrographs_that_an_earlier_run_skipped_are_left_out_with_a_warning(folder: Path) -> None:
    (folder / "micrographs.csv").write_text(
        "name,path,set,reason\na,sq1/mic_2.mrc,train,\nb,sq1/mic_10.mrc,skipped,truncated\n"
    )
    with pytest.warns(PickeryWarning, match="1 micrographs that an earlier run skipped"):
        assert names(str(folder / "micrographs.csv")) == ["mic_2"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "is empty"),
        ("empty", "empty folder"),
        ("nowhere/*.mrc", "matches no file"),
        ("sq*", "matches only folders"),
        ("sq1/*.xml", "no micrographs, which end in"),
        ("missing.mrc", "does not exist: check the path"),
        ("nowhere/missing.mrc", "there is no folder"),
        ("sq1/a.xml", r"no known kind: .*\.mrc.*\.star"),
        ("picks.box", "lists no micrographs: give"),
        ("job.cs", r"cannot be read as a CryoSPARC \.cs file"),
        ("gone.txt", r"lists 2 of 3 files that do not exist, the first of them sq1/x\.mrc"),
        ("picks.txt", "has no column path"),
        ("columns.csv", "has no column path"),
        ("blank.txt", "lists no micrographs"),
        ("blank.csv", "its first line is: empty"),
        ("movies.star", "lists movies: run motion correction"),
        ("optics.star", "it has _rlnOpticsGroup"),
        ("text.star", "not a STAR file"),
        ("binary.txt", "not a text file|UTF-8"),
        ("others.txt", r"a\.xml, which is no micrograph by its ending"),
        ("dangling.mrc", "link to a file that does not exist"),
        ("dangling.txt", "does not exist"),
    ],
)
def test_bad_source_is_named_with_a_way_out(
    folder: Path, source: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "empty").mkdir()
    (folder / "sq1" / "a.xml").write_text("<xml>")
    texts = {
        "picks.box": "1 2 3 4\n",
        "job.cs": "",
        "gone.txt": "sq1/mic_2.mrc\nsq1/x.mrc\nsq1/y.mrc\n",
        "picks.txt": "image_name\tx_coord\ty_coord\nmic_2\t1\t2\n",
        "columns.csv": "name,set\na,train\n",
        "blank.txt": "\n# nothing\n",
        "blank.csv": "",
        "movies.star": "data_movies\nloop_\n_rlnMicrographMovieName #1\na.tif\n",
        "optics.star": "data_optics\nloop_\n_rlnOpticsGroup #1\n1\n",
        "text.star": "hello\n",
        "others.txt": "sq1/a.xml\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "binary.txt").write_bytes(bytes(range(256)))
    (folder / "dangling.mrc").symlink_to("nowhere.mrc")
    (folder / "dangling.txt").symlink_to("nowhere.txt")
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=words) as caught:
        find_micrographs(source, setting="data.test_micrographs")
    assert source in str(caught.value)


def test_dangling_link_in_a_folder_is_named_rather_than_left_out(folder: Path) -> None:
    (folder / "sq1" / "mic_3.mrc").symlink_to(folder / "gone.mrc")
    with pytest.raises(InputError, match=r"mic_3\.mrc, a link"):
        find_micrographs(str(folder / "sq1"))


def test_no_source_at_all_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"data\.micrographs is empty"):
        find_micrographs([])


def test_folder_without_permission_is_an_input_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)  # not chmod: the tests may run as root
    with pytest.raises(InputError, match="permissions"):
        find_micrographs(str(folder))


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="/~"), max_size=30))  # so that no glob walks through this machine
def test_any_text_as_a_source_raises_nothing_but_input_errors(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("mic.mrc").touch()
        message = ""
        try:
            find_micrographs(text)
        except InputError as error:
            message = str(error)
    assert not message or "data.micrographs" in message
