"""The original Topaz, run from outside as a program: nothing of it is imported. It trains for `training.run`."""
