"""The kinds of image file that are read, and a micrograph's name by its file's."""

import os
import re

from pickery.formats import mrc, raster
from pickery.formats.contract import ImageKind

IMAGE_KINDS = (mrc.KIND, raster.TIFF, raster.PNG_OR_JPEG)
_KIND_BY_ENDING = {ending: kind for kind in IMAGE_KINDS for ending in kind.endings}
IMAGE_ENDINGS = tuple(_KIND_BY_ENDING)
CRYOSPARC_ID = re.compile(r"^[0-9]{21}_(?=.)")


def image_kind(name: str) -> ImageKind | None:
    """Tell the kind of image by the ending of a file's name, None if it has no image's ending."""
    ending = _ending(name)
    return _KIND_BY_ENDING[ending] if ending else None


def bare_name(name: str) -> str:
    """Strip folders and an image's ending from a name: ``sq1/May08_03.05.02.mrc.gz`` → ``May08_03.05.02``.

    Other endings stay: names of micrographs have dots in them.
    """
    base = os.path.basename(name)
    ending = _ending(base)
    return base[: -len(ending)] if ending else base


def without_id(name: str) -> str:
    """Strip the number of 21 digits that CryoSPARC puts before the names of files that it imports."""
    return CRYOSPARC_ID.sub("", name)


def _ending(name: str) -> str:
    lower = os.path.basename(name).lower()
    return next((ending for ending in _KIND_BY_ENDING if lower.endswith(ending) and lower != ending), "")
