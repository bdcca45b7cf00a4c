import errno
import math
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickery.evaluation.metrics import region_metrics
from pickery.evaluation.tally import RegionMetrics, RegionTally

FIGURES = RegionMetrics.__slots__
SCORES = st.sampled_from([-math.inf, -3.0, -0.5, -0.0, 0.0, 0.1, 2.0, math.inf]) | st.floats(-5, 5, width=32)
MICROGRAPH = st.lists(st.tuples(SCORES, st.booleans()), max_size=12)
MICROGRAPHS = st.lists(MICROGRAPH, min_size=1, max_size=6)


def arrays(pairs):
    return np.array([score for score, _ in pairs], np.float32), np.array([label for _, label in pairs], bool)


def whole(micrographs):
    return arrays([pair for pairs in micrographs for pair in pairs])


def tallied(micrographs, folder=None):
    tally = RegionTally(folder)
    for pairs in micrographs:
        tally.add(*arrays(pairs))
    return tally


def by_definition(scores, labels):
    """Average precision, threshold by threshold."""
    total, area, recall = int(labels.sum()), 0.0, 0.0
    if not total:
        return math.nan
    for threshold in sorted(set(scores.tolist()), reverse=True):
        picked = scores >= threshold
        hits = int((picked & labels).sum())
        area += hits / picked.sum() * (hits / total - recall)
        recall = hits / total
    return area


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("pickery.evaluation.tally.CHUNK", 4)
    monkeypatch.setattr("pickery.evaluation.tally.MOST_IN_MEMORY", 5)


@settings(deadline=None)
@given(MICROGRAPHS)
def test_average_precision_is_its_definition_whatever_the_split_ties_and_infinities(micrographs):
    got = tallied(micrographs).metrics(pi=0.1)
    assert got.auprc == pytest.approx(by_definition(*whole(micrographs)), nan_ok=True, rel=1e-12)


@settings(deadline=None)
@given(MICROGRAPHS)
def test_a_split_gives_the_figures_of_the_whole(micrographs):
    scores, labels = whole(micrographs)
    observed = labels.mean() if len(labels) else 0.0
    expected = region_metrics(scores, labels, pi=0.1, observed=observed)
    got = tallied(micrographs).metrics(pi=0.1)
    assert got.auprc == pytest.approx(expected.auprc, rel=0, abs=0, nan_ok=True)
    for name in FIGURES:
        assert getattr(got, name) == pytest.approx(getattr(expected, name), rel=1e-12, nan_ok=True), name


@settings(deadline=None)
@given(micrographs=MICROGRAPHS, order=st.randoms())
def test_the_order_of_micrographs_changes_no_digit(micrographs, order):
    other = list(micrographs)
    order.shuffle(other)
    # as text, in which nan is nan
    assert repr(tallied(other).metrics(pi=0.1)) == repr(tallied(micrographs).metrics(pi=0.1))


def test_scores_on_disk_change_no_digit_and_leave_no_file(folder, small):
    rng = np.random.default_rng(0)
    micrographs = [list(zip(rng.normal(size=n).round(1), rng.random(n) < 0.3, strict=True)) for n in (3, 7, 0, 20, 1)]
    tally = tallied(micrographs, folder)
    assert tally._file is not None
    assert list(folder.iterdir()) == []  # a kill leaves nothing
    assert tally.metrics(pi=0.1) == tallied(micrographs).metrics(pi=0.1)
    assert tally._file is None


@pytest.mark.parametrize("processes", [2, 3, 5])  # with five, one has no micrograph
def test_processes_that_share_the_micrographs_give_the_figures_of_one(processes, small, folder):
    rng = np.random.default_rng(1)
    micrographs = [list(zip(rng.normal(size=9).round(1), rng.random(9) < 0.3, strict=True)) for _ in range(4)]
    expected = tallied(micrographs).metrics(pi=0.1)
    meeting, given = threading.Barrier(processes), [None] * processes

    def work(rank):
        def exchange(own):
            given[rank] = own
            meeting.wait()
            everyone = list(given)
            meeting.wait()
            return everyone

        return tallied(micrographs[rank::processes], folder).metrics(pi=0.1, exchange=exchange)

    with ThreadPoolExecutor(processes) as pool:
        assert list(pool.map(work, range(processes))) == [expected] * processes


@pytest.mark.parametrize("label", [False, True])
def test_one_score_that_is_not_a_number_makes_every_figure_so(label):
    got = tallied([[(0.5, True), (0.2, False)], [(math.nan, label)]]).metrics(pi=0.1)
    assert np.isnan([getattr(got, name) for name in FIGURES]).all()


def test_nothing_added_is_nan_throughout():
    got = RegionTally().metrics(pi=0.1)
    assert np.isnan([getattr(got, name) for name in FIGURES]).all()


def test_a_full_disk_is_an_error_that_names_the_folder(folder, small, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **options: Full())
    with pytest.raises(OSError, match="No space left") as error:
        tallied([[(0.5, False)] * 9], folder)
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(folder)


def test_memory_is_that_of_the_positives_and_not_of_the_unlabeled(folder, monkeypatch):
    monkeypatch.setattr("pickery.evaluation.tally.CHUNK", 1 << 12)
    monkeypatch.setattr("pickery.evaluation.tally.MOST_IN_MEMORY", 1 << 16)
    size, share = 1 << 16, 0.02

    def peak_bytes(micrographs):
        rng = np.random.default_rng(0)
        tracemalloc.start()
        tally = RegionTally(folder)
        for _ in range(micrographs):
            tally.add(rng.standard_normal(size, dtype=np.float32), rng.random(size, dtype=np.float32) < share)
        tally.metrics(pi=0.1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    more = peak_bytes(40) - peak_bytes(20)
    assert more < 50 * 20 * size * share < 20 * size * 4 / 2
