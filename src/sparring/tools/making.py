"""What a game makes of a set of pictures that are made from pictures, beside what it should have made."""

from dataclasses import replace

import torch
from torch import Tensor

from sparring.core.cluster import Cluster
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.data import DataSet
from sparring.data.parallel import Progress
from sparring.metrics.suite import Sample
from sparring.modalities.image import decode, to_uint8, to_uint16
from sparring.tools.sample import CHUNK, batch_of_reals


@torch.no_grad()
def make_pictures(game: Game, data: DataSet, most: int, cluster: Cluster, progress: Progress | None = None) -> Sample:
    """Of at most so many of ``data``, evenly spaced; not looked at by any feature network yet.

    Raises:
        SparringError: for data that holds nothing to make pictures from, and for a game that makes values that are not
            finite.
    """
    if game.spec.given and not data.given_count:
        raise SparringError(f"{data.name} holds nothing to make pictures from; name a set of pairs with --data")
    device = next(game.parameters()).device
    places = torch.linspace(0, len(data) - 1, min(most, len(data)), dtype=torch.float64).long()
    parts: list[tuple[Tensor, ...]] = []
    share, done = cluster.share(len(places), CHUNK), 0
    for part in places[share.start : share.stop].split(CHUNK):
        real, given = data.get(part)[0], data.get_given(part)
        batch = batch_of_reals(game, decode(real), None, None if given is None else decode(given), device)
        samples = game.sample(batch).float().cpu()
        if not bool(samples.isfinite().all()):
            raise SparringError("the generator makes samples that are not finite: its weights are broken")
        assert batch.given is not None
        parts.append((samples, decode(real), batch.given.float().cpu()))
        done += len(part)
        if progress:
            progress("make pictures", done, len(share))
    made, real, given = (cluster.join(torch.cat(side), len(places), CHUNK) for side in zip(*parts, strict=True))
    keep = to_uint16 if data.get([0])[0].is_floating_point() else to_uint8
    paired = data.spec.paired
    return Sample(
        to_uint8(made),
        targets=keep(real) if paired else None,
        exact=keep(made) if paired else None,
        scale=game.scale,
        given=to_uint8(given) if game.scale > 1 else None,
        maps=given.argmax(1) if data.spec.palette else None,
    )


def with_maps(side: Sample, data: DataSet) -> Sample:
    """The same, with the label maps that its evenly spaced pictures of ``data`` are made from, where there are such."""
    if not data.spec.palette:
        return side
    places = torch.linspace(0, len(data) - 1, len(side), dtype=torch.float64).long()
    maps = []
    for part in places.split(CHUNK):
        given = data.get_given(part)
        assert given is not None
        maps.append(given.argmax(1))
    return replace(side, maps=torch.cat(maps))
