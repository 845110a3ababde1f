"""What a person says of differential privacy (``--game.dp.epsilon``); docs/privacy.md says what it covers."""

import math
from dataclasses import dataclass

from sparring.core.config import setting


@dataclass(frozen=True)
class Private:
    """Settings of training with differential privacy. What is 0 but `epsilon` is filled in when a run is planned."""

    epsilon: float = setting(
        0.0, "differential privacy of the rows to train on: the most that the run may spend; 0: none"
    )
    delta: float = setting(0.0, "chance that epsilon does not hold; 0: a tenth of one divided by the rows")
    clip: float = setting(1.0, "length to which the gradient of each pack of rows is clipped")
    noise: float = setting(
        0.0, "deviation of the noise in each value of the clipped gradients' sum, in units of clip; 0: by epsilon"
    )
    counts: float = setting(0.0, "deviation of the noise in the count of each state, in rows; 0: by epsilon")

    def __post_init__(self) -> None:
        if self.epsilon and not 0.1 <= self.epsilon <= 100:
            raise ValueError(
                f"dp.epsilon is 0.1 to 100: less leaves nothing to learn, more hides nobody; got {self.epsilon}"
            )
        for name in ("delta", "noise", "counts"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"dp.{name} is a number from 0 on, got {value}")
        if not 0 < self.clip < math.inf:
            raise ValueError(f"dp.clip must be above 0, got {self.clip}")
        if not self.epsilon and (self.delta, self.clip, self.noise, self.counts) != (0, 1, 0, 0):
            raise ValueError(
                "dp.delta, clip, noise and counts do nothing without dp.epsilon; say that, or leave them out"
            )
        if self.delta >= 1:
            raise ValueError(f"dp.delta is a chance, far below 1; got {self.delta}")
