"""The tutorial's networks in torchgan's trainer, for `speed.py`: ``pip install --no-deps torchgan`` puts it there.

Its own `Trainer.train_iter` and minimax losses play on the same pictures, read as the tutorial reads them. It imports
torchvision for its pictures of samples alone, which are not drawn here: an empty module stands for it where it is not
installed.
"""

import importlib.util
import os
import sys
import tempfile
import types
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tutorial_loop import BATCH, Pictures, networks


def torchgan() -> Iterator[None]:
    """As its documentation has it."""
    if importlib.util.find_spec("torchvision") is None:
        sys.modules["torchvision"] = types.ModuleType("torchvision")
    os.environ.update(TENSORBOARD_LOGGING="0", VISDOM_LOGGING="0", CONSOLE_LOGGING="0")
    from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
    from torchgan.models import Discriminator, Generator
    from torchgan.trainer import Trainer

    def player(base, size, network):
        class Player(base):
            def __init__(self):
                super().__init__(size)
                self.network = network

            def forward(self, x: Tensor) -> Tensor:
                return self.network(x)

        return Player

    G, D = networks()
    adam = {"name": torch.optim.Adam, "args": {"lr": 2e-4, "betas": (0.5, 0.999)}}
    judge = nn.Sequential(*list(D)[:-1])  # its losses take logits
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            {
                "generator": {"name": player(Generator, 100, G), "optimizer": adam},
                "discriminator": {"name": player(Discriminator, 3, judge), "optimizer": adam},
            },
            [MinimaxGeneratorLoss(), MinimaxDiscriminatorLoss()],
            device=torch.device("cpu"),
            checkpoints=f"{folder}/gan",
            recon=f"{folder}/images",
        )
    trainer.batch_size = BATCH
    loader = DataLoader(Pictures(), batch_size=BATCH, shuffle=True)
    while True:
        for images, _ in loader:
            trainer.real_inputs = images
            trainer.train_iter()
            yield
