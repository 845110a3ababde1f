"""What networks are built from."""

from dataclasses import dataclass

from sparring.core.columns import Column, Layout
from sparring.core.series import Series


@dataclass(frozen=True)
class DataSpec:
    """Describes one sample, whatever its kind; the only thing a network learns of the data before it trains.

    Attributes:
        modality: the kind of data, the name of a room in ``sparring.modalities``.
        shape: of one sample: ``(channels, height, width)`` of an image, ``(d,)`` of a point. Values lie in [-1, 1].
        classes: names of the classes, empty without labels.
        class_counts: how many samples each class has, in the same order.
        count: how many samples there are.
        given: shape of what a sample is made from besides noise, such as the input picture of a pair, or a table's
            condition; empty where there is nothing of the kind.
        deep: whether samples are kept at more than 8 bits.
        palette: of given label maps, the colour of each class as ``#rrggbb``, a channel each; else empty.
        columns: of a table, all that encodes and decodes its rows; empty elsewhere.
        paired: whether what is given belongs to one sample, as in pairs; else it comes from a set of its own.
        series: of series, all that encodes and decodes them; None elsewhere.
    """

    modality: str
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    count: int = 0
    given: tuple[int, ...] = ()
    paired: bool = True
    columns: tuple[Column, ...] = ()
    palette: tuple[str, ...] = ()
    deep: bool = False
    series: Series | None = None

    def __post_init__(self) -> None:
        if self.modality == "table" and self.shape != (Layout(self.columns).width,):
            raise ValueError(f"rows of these columns are not of shape {self.shape}")
        if self.modality == "series" and (self.series is None or self.shape[:-1] != (self.series.rows,)):
            raise ValueError(f"series of these channels and attributes are not of shape {self.shape}")
