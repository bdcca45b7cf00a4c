"""How plots write names and measured numbers: metrics and settings in words."""

import math

from pickery.evaluation.names import METRICS


def metric_words(name: str, *, inside: bool = False) -> str:
    """Give the words for a metric, as a title or inside a sentence; other names are read as they are spelled."""
    words = METRICS[name].label if name in METRICS else name.replace("_", " ").replace("/", ": ")
    if inside:
        return words if words[:2].isupper() else words[:1].lower() + words[1:]
    return words[:1].upper() + words[1:]


def setting_words(name: str) -> str:
    """Give the words for a setting inside a sentence, from its dotted name (``optimizer.learning_rate``)."""
    return name.split(".")[-1].replace("_", " ")


def measured(value: float, error: float = math.nan) -> str:
    """Write a measured value with its standard error, to as many places as the error (or the value) is worth."""
    places = 3
    for number, digits in ((error, 2), (value, 3)):
        if math.isfinite(number) and number != 0:
            power = int(f"{number:.{digits - 1}e}".split("e")[1])
            places = max(places, digits - 1 - power)
            break
    places = min(places, 9)
    return f"{value:.{places}f}" + ("" if math.isnan(error) else f" ± {error:.{places}f}")
