import math

import pytest

from pickery.topaz.table import EpochFigures, TableReader, held_out_figures, training_figures

GE = """epoch\titer\tsplit\tloss\tge_penalty\tprecision\ttpr\tfpr\tauprc
1\t1\ttrain\t0.75\t14.0\t0.25\t0.5\t0.125\t-
some other line
1\t2\ttrain\t0.25\t12.0\t0.75\t0.25\t0.375\t-
1\t3\ttest\t0.65\t-\t0.006\t0.48\t0.47\t0.007
"""


def rows_of(text):
    reader = TableReader()
    return [row for line in text.splitlines(keepends=True) if (row := reader.read(line)) is not None]


def test_the_rows_of_the_table_are_read_and_other_lines_left():
    rows = rows_of(GE)
    assert [(row.epoch, row.split) for row in rows] == [(1, "train"), (1, "train"), (1, "test")]
    assert rows[0].figures == {"loss": 0.75, "ge_penalty": 14.0, "precision": 0.25, "tpr": 0.5, "fpr": 0.125}
    assert rows_of("1\t1\ttrain\t0.5\n") == [], "nothing is a row before the table's first line"


def test_an_epochs_figures_are_the_means_over_its_minibatches():
    epoch = EpochFigures(1)
    for row in rows_of(GE):
        epoch.add(row)
    figures = training_figures(epoch.train(), objective="ge_binomial", autoencoder_weight=0.0)
    assert figures["objective"] == 13.5
    assert (figures["objective_positive"], figures["objective_penalty"]) == (0.5, 13.0)
    assert (figures["precision"], figures["tpr"], figures["fpr"]) == (0.5, 0.375, 0.25)
    assert math.isnan(figures["loss"]), "Topaz does not tell its minibatches' cross-entropy"
    assert epoch.test is not None
    assert epoch.unusable == 0


def test_minibatches_without_a_positive_patch_count_in_no_mean():
    epoch = EpochFigures(1)
    for row in rows_of("epoch\titer\tsplit\tloss\n1\t1\ttrain\tnan\n1\t2\ttrain\t0.5\n"):
        epoch.add(row)
    assert epoch.train() == {"loss": 0.5}
    assert (epoch.minibatches, epoch.unusable) == (2, 1)


def test_other_objectives_and_the_autoencoder():
    assert training_figures({"loss": 0.5}, objective="pn", autoencoder_weight=0.0)["objective"] == 0.5
    means = {"loss": 0.5, "recon_error": 100.0}
    assert training_figures(means, objective="pu", autoencoder_weight=0.01)["objective"] == 1.5


def test_adjusted_precision_is_worked_out_and_not_taken():
    row = {"loss": 0.5, "precision": 0.25, "tpr": 0.5, "fpr": 0.125, "auprc": 0.75, "adjusted_precision": 9.0}
    figures = held_out_figures(row, pi=0.02, observed=0.01)
    assert figures["adjusted_precision"] == pytest.approx(0.5)
    assert list(figures) == ["loss", "precision", "adjusted_precision", "tpr", "fpr", "auprc"]
