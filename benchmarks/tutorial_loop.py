"""The tutorial's loop, literally, and the same by hand with what the engine does about speed; for `speed.py`.

Each plays steps of 32 pictures on random pixels for as long as it is asked to; `laps` and `in_turn` ask, and tell the
seconds that a step took: by the clock, and of the processor (of all threads).
"""

import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, Dataset

BATCH, PICTURES = 32, 2048


def pixels():
    """What stands for CIFAR-10's pictures, ``(n, 32, 32, 3)``: what they show costs nothing."""
    return np.random.default_rng(0).integers(0, 256, (PICTURES, 32, 32, 3), dtype=np.uint8)


class Pictures(Dataset):
    """PIL, then a tensor in [0, 1], then mean and deviation 0.5: one picture at a time."""

    def __init__(self):
        self.pixels = pixels()

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        picture = Image.fromarray(self.pixels[index])
        values = torch.from_numpy(np.array(picture, copy=True)).permute(2, 0, 1).contiguous()
        values = values.to(torch.get_default_dtype()).div(255)
        mean, deviation = torch.as_tensor([0.5] * 3), torch.as_tensor([0.5] * 3)
        return values.clone().sub_(mean[:, None, None]).div_(deviation[:, None, None]), 0


def networks():
    """Layer by layer."""
    G = nn.Sequential(
        *(nn.Linear(100, 128 * 8 * 8), nn.ReLU(), nn.Unflatten(1, (128, 8, 8))),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128, momentum=0.78)),
        *(nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, padding=1)),
        *(nn.BatchNorm2d(64, momentum=0.78), nn.ReLU(), nn.Conv2d(64, 3, 3, padding=1), nn.Tanh()),
    )
    D = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(0.25)),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ZeroPad2d((0, 1, 0, 1)), nn.BatchNorm2d(64, momentum=0.82)),
        *(nn.LeakyReLU(0.25), nn.Dropout(0.25), nn.Conv2d(64, 128, 3, stride=2, padding=1)),
        *(nn.BatchNorm2d(128, momentum=0.82), nn.LeakyReLU(0.2), nn.Dropout(0.25)),
        *(nn.Conv2d(128, 256, 3, padding=1), nn.BatchNorm2d(256, momentum=0.8), nn.LeakyReLU(0.25), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(256 * 5 * 5, 1), nn.Sigmoid()),
    )
    return G, D


def literal() -> Iterator[None]:
    """As the tutorial has it."""
    G, D = networks()
    loss = nn.BCELoss()
    optim_G = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optim_D = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    loader = DataLoader(Pictures(), batch_size=BATCH, shuffle=True)
    valid, fake = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    while True:
        for index, (images, _) in enumerate(loader):
            optim_D.zero_grad()
            z = torch.randn(BATCH, 100)
            fakes = G(z)
            on_real, on_fake = loss(D(images), valid), loss(D(fakes.detach()), fake)
            loss_D = (on_real + on_fake) / 2
            loss_D.backward()
            optim_D.step()
            optim_G.zero_grad()
            loss_G = loss(D(G(z)), valid)
            loss_G.backward()
            optim_G.step()
            if (index + 1) % 100 == 0:
                print(loss_D.item(), loss_G.item())
            yield


def by_hand(precision: str = "fp32") -> Iterator[None]:
    """The engine's arithmetic without the engine: one pass of G, D frozen in G's turn, the toolkit's layers."""
    from sparring.core.registry import load_family
    from sparring.nn.together import judge_together

    family = load_family("tutorial")
    game = family(*family.tiny()).train()
    optim_G, optim_D = (
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for net in (game.G, game.D)
    )
    norms = [layer for layer in game.G if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:  # one pass moves the statistics as far as two
        norm.momentum = 1 - (1 - norm.momentum) ** 2
    data = torch.from_numpy(pixels()).permute(0, 3, 1, 2).contiguous()
    while True:
        for picked in torch.randperm(PICTURES).split(BATCH):
            images = data[picked].float().div_(127.5).sub_(1)
            low = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
            game.D.requires_grad_(True)
            optim_D.zero_grad()
            with low:
                fakes = game.G(torch.randn(BATCH, 100))
                on_real, on_fake = judge_together(game.D, [images, fakes.detach()])
                loss_D = (softplus(-on_real).mean() + softplus(on_fake).mean()) / 2
            loss_D.backward()
            optim_D.step()
            game.D.requires_grad_(False)
            optim_G.zero_grad()
            with low:
                loss_G = softplus(-game.D(fakes)).mean()
            loss_G.backward()
            optim_G.step()
            yield


def engine(precision: str = "fp32", reference: bool = False) -> Iterator[None]:
    """``--family tutorial`` on the same pictures."""
    from sparring.core.config import Train
    from sparring.core.registry import load_family
    from sparring.core.spec import DataSpec
    from sparring.data.dealer import MemoryDealer
    from sparring.data.order import Order
    from sparring.engine.loop import Engine
    from sparring.modalities.image import decode

    family = load_family("tutorial")
    game = family(DataSpec("image", (3, 32, 32), count=PICTURES), family.config_class())
    data = torch.from_numpy(pixels()).permute(0, 3, 1, 2).contiguous()
    dealer = MemoryDealer(data, None, Order(PICTURES, 0), torch.device("cpu"), decode)
    train = Train(kimg=1, batch=BATCH, ema_kimg=0, precision=precision, reference=reference)
    player = Engine(game, dealer, train)
    while True:
        player.step()
        yield


def lap(loop: Iterator[None]) -> tuple[float, float]:
    """Seconds of the next step, by the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    next(loop)
    return time.perf_counter() - wall, time.process_time() - cpu


def laps(loop: Iterator[None], steps: int) -> list[tuple[float, float]]:
    """Of so many steps."""
    return [lap(loop) for _ in range(steps)]


def in_turn(one: Iterator[None], other: Iterator[None], steps: int) -> list[list[tuple[float, float]]]:
    """Of so many steps of each, a step of one beside a step of the other, the first now one and now the other."""
    pairs = []
    for number in range(steps):
        loops = (one, other) if number % 2 == 0 else (other, one)
        told = [lap(loop) for loop in loops]
        pairs.append(told if number % 2 == 0 else told[::-1])
    return pairs
