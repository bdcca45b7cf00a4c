"""Takes picks with a trained model: model and micrographs in, files of picks out. Knows nothing of training."""
