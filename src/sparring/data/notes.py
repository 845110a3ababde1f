"""What was decided about the data, in sentences for people."""

from sparring.core.config import Data
from sparring.data.geometry import OWN, Size, show
from sparring.data.scans import Scan

_VERBS = {
    "crop": "brought to {size} by cropping to its shape around the middle",
    "pad": "brought to {size} inside a black border",
    "stretch": "stretched to {size}",
}


def stated(scan: Scan, settings: Data, name: str) -> list[str]:
    """The policies that were applied to a set; sizes are height x width."""
    notes: list[str] = []
    good = scan.count - len(scan.bad)
    if scan.bad:
        first = "; ".join(f"{name}: {why}" for name, why in list(scan.bad.items())[:3])
        notes.append(f"{len(scan.bad):,} of {scan.count:,} pictures cannot be read and are left out ({first})")
    notes += _of_sizes(scan, settings)
    for policy, number in sorted(scan.policies.items()):
        notes.append(policy if number == good else f"{policy} ({number:,} of {good:,} pictures)")
    natural = scan.natural
    colour, alpha = sum(natural.get(c, 0) for c in (3, 4)), sum(natural.get(c, 0) for c in (2, 4))
    if alpha and scan.channels in (1, 3):
        notes.append(f"transparency of {alpha:,} pictures is laid on white")
    if colour and scan.channels <= 2:
        notes.append(f"{colour:,} pictures in colour are made grey")
    if settings.channels == "auto" and 0 < colour < good:
        notes.append(f"{good - colour:,} of {good:,} pictures without colour are kept with equal red, green and blue")
    return notes


def _of_sizes(scan: Scan, settings: Data) -> list[str]:
    wanted = scan.whole or scan.size
    if scan.whole is not None:
        cut = f"{show(scan.size)} are cut out of each picture, at another place for each showing"
        return [f"{cut}; for evaluation out of its middle", *_brought(scan, wanted, settings)]
    return _brought(scan, wanted, settings)


def _brought(scan: Scan, wanted: Size, settings: Data) -> list[str]:
    others = [(size, number) for size, number in scan.sizes if wanted not in (size, OWN)]
    if not others:
        return []
    number = sum(count for _, count in others)
    if len(others) == 1:
        sizes = show(others[0][0])
    else:
        least, most = min(others, key=lambda o: o[0][0] * o[0][1]), max(others, key=lambda o: o[0][0] * o[0][1])
        sizes = f"{show(least[0])} to {show(most[0])}"
    height, width = wanted
    same_shape = all(h * width == w * height for (h, w), _ in others)
    how = ("scaled to {size}" if same_shape else _VERBS[settings.fit]).format(size=show(wanted))
    notes = [f"{number:,} pictures of {sizes} are {how} (height x width)"]
    small = sum(count for (h, w), count in others if h < height or w < width)
    if small:
        notes.append(f"{small:,} pictures are smaller than {show(wanted)} and are enlarged")
    return notes
