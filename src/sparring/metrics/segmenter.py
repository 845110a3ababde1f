"""Do made pictures show what their label maps ask for? A U-Net from photographs to classes, fitted on real pairs, says.

As published FCN scores do (Isola, Zhu, Zhou, Efros 2017, sec. 4.1), it judges pictures by what a segmenter of real
photographs sees in them; what it sees in the real ones beside them is the ceiling. It is small and fitted here, so
numbers hold within one set of pairs, never across papers.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparring.metrics.overlap import Overlap, overlap
from sparring.modalities.image import from_uint8
from sparring.nn.unet import UNet, levels_for

WIDTH, FEATURES, LEVELS = 16, 32, 5
STEPS, BATCH, RATE = 1500, 8, 1e-3
CHUNK = 20

Segment = Callable[[Tensor], Tensor]


def fit_segmenter(photos: Tensor, maps: Tensor, classes: int, steps: int = STEPS, seed: int = 0) -> Segment:
    """A function from pictures to class numbers.

    Args:
        photos: uint8 ``(n, c, h, w)``.
        maps: class numbers ``(n, h, w)`` of the same places.
        classes: how many there are.
        steps: batches of 8 pairs to learn from.
        seed: of its weights and of what it sees when.
    """
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        trunk = UNet(photos.shape[1], FEATURES, WIDTH, min(LEVELS, levels_for(*photos.shape[2:])), "batch")
        network = nn.Sequential(trunk, nn.Conv2d(FEATURES, classes, 1))
        optimiser, draw = torch.optim.Adam(network.parameters(), RATE), torch.Generator().manual_seed(seed)
        for _ in range(steps):
            chosen = torch.randint(len(photos), (BATCH,), generator=draw)
            loss = nn.functional.cross_entropy(network(from_uint8(photos[chosen])), maps[chosen].long())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()

    @torch.inference_mode()
    def segment(pictures: Tensor) -> Tensor:
        return torch.cat([network(from_uint8(part)).argmax(1) for part in pictures.split(CHUNK)])

    return segment


def seen_by(segment: Segment, pictures: Tensor, maps: Tensor, classes: int) -> Overlap:
    """How well what is seen in uint8 ``pictures`` agrees with ``maps``, over all of them."""
    return overlap(segment(pictures), maps.long(), classes)
