"""Several critics of one picture, such as one of its patches and one of the whole.

Each counts as much as any other, however many logits it gives: a mean over all logits at once would leave a critic of
the whole picture, which gives one, next to no say beside one of a thousand patches.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def over_critics(loss: Callable[..., Tensor], *logits: Sequence[Tensor] | None) -> Tensor:
    """The mean over critics of ``loss``, of `sparring.objectives.adversarial`, by the logits of each (Park et al. 2019;
    Wang et al. 2018, eq. 3, is their sum).

    Args:
        loss: takes logits of one critic, ``(n, ...)`` each.
        logits: for each argument of the loss, those of every critic; None for one that it is called without.
    """
    given = [of_all for of_all in logits if of_all is not None]
    return torch.stack([loss(*of_one) for of_one in zip(*given, strict=True)]).mean()


def by_critic(logits: Sequence[Tensor]) -> Tensor:
    """The mean logit of each critic, ``(n, critics)``, for probes and the log."""
    return torch.stack([of_one.flatten(1).mean(1) for of_one in logits], 1)
