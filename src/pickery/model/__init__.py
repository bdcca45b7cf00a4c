"""Networks that score regions of micrographs, and their weights; knows nothing of losses, data sets or training."""

from pickery.model.picker import ARCHITECTURES, POOLINGS, Picker, build_model, receptive_field, set_expected_fraction

__all__ = ["ARCHITECTURES", "POOLINGS", "Picker", "build_model", "receptive_field", "set_expected_fraction"]
