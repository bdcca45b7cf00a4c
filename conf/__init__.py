"""The values of all settings, a folder per group; Hydra composes them. Their meanings stand in `pickery.config`."""
