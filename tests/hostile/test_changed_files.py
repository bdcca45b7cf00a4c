"""Files changed at random, given to every reader: read or refused with a sentence, in time and within memory.

How many each reader is given stands in `readers.READERS`; `scripts/fuzz` goes on from there for as long as one likes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.readers import READERS, Reader

GROUPS = {
    "images": [name for name in READERS if READERS[name].read.__name__ in ("_image", "_mask")],
    "tables": [name for name in READERS if READERS[name].read.__name__ in ("_picks", "_micrographs")],
}
GROUPS["models and runs"] = [name for name in READERS if name not in {*GROUPS["images"], *GROUPS["tables"]}]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_reader_has_a_corpus_of_small_files(reader: Reader) -> None:
    sizes = [path.stat().st_size for path in reader.corpus()]
    assert sizes
    assert max(sizes) < 1 << 16


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_files_changed_at_random_are_read_or_refused(group: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.mutated", *GROUPS[group]],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-300:]}\n{done.stderr[-3000:]}"
    counts = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert set(counts) == set(GROUPS[group])
    for name, said in counts.items():
        count = json.loads(said)
        assert count["tried"] >= READERS[name].inputs
        assert count["read"] + count["refused"] == count["tried"]
