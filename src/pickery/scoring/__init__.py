"""Holds picks against the truth: two sets of picks in, figures, tables and plots out. Knows no model."""
