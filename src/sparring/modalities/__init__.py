"""How a sample of each kind is kept, drawn and written. One file a kind of data; ``DataSpec.modality`` names it.

Every room has:

    SHOWN, MOST                 samples in a picture while training; in one that is asked for, at most
    ARRAY                       what the array in an .npz is called
    fits(shape)                 whether samples of this kind can have that shape
    describe(shape)             "28x28 grey", for a person
    decode(kept)                samples as a data set keeps them, to float32 in [-1, 1]
    array(samples)              samples in [-1, 1], to what an .npz holds
    grid(samples)               many samples as one picture
    write_files(parts, folder)  a file a sample, or one for all

The last four also take ``spec``, the samples' `DataSpec`: a table cannot be read without its columns.
"""

import importlib
from types import ModuleType

from sparring.core.errors import SparringError


def modality(name: str) -> ModuleType:
    """The room of a kind of data, e.g. ``modality("image")``."""
    try:
        return importlib.import_module(f"sparring.modalities.{name}")
    except ModuleNotFoundError:
        raise SparringError(f"there is no modality '{name}'") from None
