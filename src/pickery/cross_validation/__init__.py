"""Cross-validation: which values to try, on which folds, who trains what, and what came of it."""
