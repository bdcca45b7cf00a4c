"""Micrographs made ready for a model: downsampled, normalised and stored; imports neither torch nor any settings."""
