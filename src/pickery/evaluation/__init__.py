"""Evaluation: a trained model in, numbers out; region metrics, score maps, suppression, pick-level metrics.

Knows arrays and score maps only: no configuration, no training loop, no tracker, no files. Nothing is imported here,
so that the metric names (`pickery.evaluation.names`) stay cheap to read.
"""
