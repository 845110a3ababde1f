"""What is dealt, mirrored and turned: by its position alone, and what is given with it alike."""

import torch
from torch import Tensor

from sparring.core.batch import Deal, Dealer
from sparring.data.moving import to_device
from sparring.data.order import Order


class FlippingDealer:
    """Mirrors what another deals where the coin of its position says so."""

    def __init__(self, dealer: Dealer, order: Order):
        self.dealer, self.order = dealer, order

    def deal(self, first: int, count: int) -> Deal:
        """As the other deals, half of the pictures mirrored left to right, and what is given with them."""
        real, labels, given = self.dealer.deal(first, count)
        coins = to_device(self.order.coins(first, count), real.device)[:, None, None, None]
        given = None if given is None else torch.where(coins, given.flip(3), given)
        return Deal(torch.where(coins, real.flip(3), real), labels, given)

    def close(self) -> None:
        """Close the other."""
        self.dealer.close()


class RotatingDealer:
    """Turns what another deals by quarters, as the number of its position says."""

    def __init__(self, dealer: Dealer, order: Order):
        self.dealer, self.order = dealer, order

    def deal(self, first: int, count: int) -> Deal:
        """As the other deals, each picture turned, and what is given with it."""
        real, labels, given = self.dealer.deal(first, count)
        turns = to_device(self.order.quarters(first, count), real.device)[:, None, None, None]
        given = None if given is None else turned(given, turns)
        return Deal(turned(real, turns), labels, given)

    def close(self) -> None:
        """Close the other."""
        self.dealer.close()


def turned(squares: Tensor, turns: Tensor) -> Tensor:
    """``(n, c, s, s)`` turned against the clock by the quarters ``(n, 1, 1, 1)``."""
    half = torch.where(turns >= 2, squares.flip(2, 3), squares)
    return torch.where(turns % 2 == 1, half.rot90(1, (2, 3)), half)
