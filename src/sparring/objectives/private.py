"""Gradients with differential privacy: clipped record by record, with noise in their sum.

Abadi et al. 2016, *Deep Learning with Differential Privacy*, arXiv 1607.00133, algorithm 1. A network that sees records
through such gradients alone is private, and so is whatever learns from that network.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.linalg import vector_norm

from sparring.core.precision import full_precision
from sparring.core.second_order import differentiated_twice

Judge = Callable[[Tensor], Tensor]  # one record, without a batch dimension, to its score
Readings = dict[str, Tensor]
RecordLoss = Callable[..., tuple[Tensor, Readings]]  # loss(judge, *record): a scalar, and scalars worth knowing

MOST = 1 << 22  # numbers of gradients of single records that are kept at once: more are slower, being out of cache


class PrivateLoss(NamedTuple):
    """A loss whose gradient is private. Neither its value nor what else is here is.

    Attributes:
        loss: scalar, the mean over records; its gradient is the private one.
        readings: what the loss of each record said besides, ``(n,)`` each.
        norms: length of each record's gradient before it was clipped, ``(n,)``.
    """

    loss: Tensor
    readings: Readings
    norms: Tensor


def private_loss(
    network: nn.Module, loss: RecordLoss, records: Sequence[Tensor], clip: float, noise: Tensor
) -> PrivateLoss:
    """(1/n) (sum_i g_i min(1, clip / ||g_i||) + noise) as the gradient of a loss (Abadi et al. 2016, algorithm 1).

    g_i is the gradient of ``loss(judge, *record_i)`` by the weights of ``network`` that are trained, all of them one
    vector. One that is not finite counts as 0: what is unlike all others must not be louder than ``clip`` either.

    Args:
        network: is called with one record at a time, so it must treat the samples of a batch apart: no BatchNorm.
            Dropout draws anew for each record.
        loss: of one record; its penalties on slopes take `torch.func.grad` of the judge.
        records: what a record consists of, ``(n, ...)`` each; nobody may be in two of the n.
        clip: the most that one record moves the sum; infinite: as far as it likes.
        noise: for the sum, ``(p,)``, as many as there are trained weights; its deviation in units of ``clip`` is the
            noise multiplier.

    Raises `ValueError` for a network that mixes samples, and for noise of another size.
    """
    if any(isinstance(module, nn.modules.batchnorm._NormBase) for module in network.modules()):
        raise ValueError("a network whose norms mix the samples of a batch has no gradient of a single record")
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    count = sum(weight.numel() for weight in trained.values())
    if noise.shape != (count,):
        raise ValueError(f"noise for {count} weights, got {tuple(noise.shape)}")

    def of_one(weights: dict[str, Tensor], *record: Tensor) -> tuple[Tensor, tuple[Tensor, Readings]]:
        def judge(points: Tensor) -> Tensor:
            score: Tensor = functional_call(network, weights, (points[None],)).sum()
            return score

        value, readings = loss(judge, *record)
        return value, (value, readings)

    each = vmap(grad(of_one, has_aux=True), in_dims=(None, *[0] * len(records)), randomness="different")
    weights = {name: weight.detach() for name, weight in trained.items()}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    found: list[tuple[Tensor, Readings, Tensor]] = []
    with full_precision(records[0]), differentiated_twice():
        precise = [part.detach().to(torch.promote_types(part.dtype, torch.float32)) for part in records]
        pieces = [part.split(max(1, MOST // max(count, 1))) for part in precise]
        for piece in zip(*pieces, strict=True):
            gradients, (values, readings) = each(weights, *piece)
            norms = torch.stack([vector_norm(g.flatten(1), dim=1) for g in gradients.values()]).norm(dim=0)
            known = norms.isfinite()
            shares = torch.where(known, (clip / norms).clamp(max=1.0), 0.0)
            for name, g in gradients.items():
                kept = torch.where(known.view(-1, *[1] * (g.dim() - 1)), g, 0.0)
                total[name] += torch.tensordot(shares, kept, dims=1)
            found.append((values, readings, norms))
    values, norms = (torch.cat([part[place] for part in found]) for place in (0, 2))  # type: ignore[misc]
    readings = {name: torch.cat([part[1][name] for part in found]) for name in found[0][1]}
    parts = noise.split([weight.numel() for weight in weights.values()])
    towards = values.new_zeros(())
    for (name, weight), own in zip(trained.items(), parts, strict=True):
        private = (total[name] + own.view_as(weight)) / len(records[0])
        towards = towards + (private * weight).sum()
    return PrivateLoss(values.mean() + (towards - towards.detach()), readings, norms)


def wgan_gp(weight: float = 10.0) -> RecordLoss:
    """D(G(z)) - D(x) + weight (||grad D(u)|| - 1)^2 at u = mix x + (1 - mix) G(z) of one record: x, G(z) and mix.

    Gulrajani et al. 2017, algorithm 1, lines 4 to 8. u lies on the way to the real row, so the penalty is part of what
    the row says. 1e-12 keeps the root's slope finite at 0.
    """

    def loss(judge: Judge, real: Tensor, fake: Tensor, mix: Tensor) -> tuple[Tensor, Readings]:
        on_real, on_fake = judge(real), judge(fake)
        slope = grad(judge)(mix * real + (1 - mix) * fake)
        penalty = weight * ((slope.square().sum() + 1e-12).sqrt() - 1).square()
        return on_fake - on_real + penalty, {"real": on_real, "fake": on_fake, "penalty": penalty}

    return loss
