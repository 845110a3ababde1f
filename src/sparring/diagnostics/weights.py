"""What the weights show: singular values of a few layers, how far they move."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from sparring.core.look import Look
from sparring.core.observer import Probe
from sparring.core.readings import PREFIX
from sparring.diagnostics.statistics import effective_rank

LAYERS = 4  # of a player, evenly spaced from its first to its last
ROWS = 128  # of a layer's outputs at most, whose spectrum stands for the layer's
ENTRIES = 1024  # of each weight at most, evenly spaced, whose way stands for the weight's
FIRST, THEN = 12, 2  # power iterations at the first look and at later ones


class Weights(Probe):
    """Reads what ``sparring.core.readings.WEIGHTS`` lists.

    A singular value is that of the weight seen as ``(outputs, rest)``. Constant factors (equalised learning rate) move
    no reading. A top singular value that is normalised away (spectral norm, demodulation) grows as it likes: of such
    layers it is not read.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Tensor] = {}
        self.readings: dict[str, float] = {}

    @torch.no_grad()
    def look(self, look: Look) -> None:
        if not all(bool(parameter.isfinite().all()) for parameter in look.game.parameters()):
            return
        players, judges = look.game.players(), look.game.judges()
        growths: list[float] = []
        ranks: list[float] = []
        moves: dict[str, list[float]] = {"update": [], "update_judge": []}
        for name in [*look.game.averaged(), *judges]:
            layers = list(matrices(players[name]))
            chosen = {round(i * (len(layers) - 1) / (LAYERS - 1)) for i in range(LAYERS)} if layers else set()
            for layer, weight, free in [layers[place] for place in sorted(chosen)]:
                key = f"{name}.{layer}"
                if free:
                    growths.append(self.growth(key, weight))
                if name in judges:
                    ranks.append(self.rank_left(key, weight))
            update = self.update(name, players[name])
            if update is not None:
                moves["update_judge" if name in judges else "update"].append(update)
        found = {name: max(values) for name, values in moves.items() if values}
        if growths:
            found["spectral_growth"] = max(growths)
        if ranks:
            found["effective_rank"] = min(ranks)
        self.readings = found

    def growth(self, key: str, weight: Tensor) -> float:
        """Top singular value over that at the first look, by power iterations that go on from look to look."""
        vector = self.kept.get(f"{key}/vector")
        steps = FIRST if vector is None else THEN
        if vector is None:
            vector = torch.ones(len(weight)) / len(weight) ** 0.5
        vector = vector.to(weight)
        for _ in range(steps):
            right = nn.functional.normalize(weight.T @ vector, dim=0)
            product = weight @ right
            vector = nn.functional.normalize(product, dim=0)
        sigma = product.norm().cpu()
        self.kept[f"{key}/vector"] = vector.cpu()
        first = self.kept.setdefault(f"{key}/first", sigma)
        return float(sigma / first.clamp(min=1e-12))

    def rank_left(self, key: str, weight: Tensor) -> float:
        """Effective rank of some rows over the most that it was."""
        rows = weight[torch.linspace(0, len(weight) - 1, min(ROWS, len(weight))).long()]
        gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
        rank = effective_rank(torch.linalg.eigvalsh(gram.double().cpu()).clamp(min=0).sqrt())
        most = max(rank, float(self.kept.get(f"{key}/rank", torch.zeros(()))))
        self.kept[f"{key}/rank"] = torch.tensor(most)
        return rank / most

    def update(self, name: str, player: nn.Module) -> float | None:
        """Length of the way since the last look over that of the weights; None at the first."""
        parts = [p.detach().flatten()[:: -(-p.numel() // ENTRIES)].float() for p in player.parameters()]
        now = torch.cat(parts).cpu()
        before = self.kept.get(f"{name}/weights")
        self.kept[f"{name}/weights"] = now
        if before is None or before.shape != now.shape:
            return None
        return float((now - before).norm() / now.norm().clamp(min=1e-12))

    def report(self) -> dict[str, float]:
        readings, self.readings = self.readings, {}
        return {PREFIX + name: value for name, value in readings.items()}

    def state(self) -> dict[str, Tensor]:
        return dict(self.kept)

    def load(self, state: Mapping[str, Tensor]) -> None:
        self.kept = dict(state)


def matrices(player: nn.Module) -> Iterator[tuple[str, Tensor, bool]]:
    """Name, weight as ``(outputs, rest)``, and whether its top singular value is free, of each layer with a weight.

    A normalised layer gives the weight before that, which has the same effective rank; nothing is run.
    """
    for name, module in player.named_modules():
        free = not getattr(module, "demodulate", False)
        if parametrize.is_parametrized(module, "weight"):
            held = module.get_submodule("parametrizations.weight")
            weight = getattr(held, "original", None)
            free = free and not any(isinstance(part, _SpectralNorm) for part in held.children())
        else:
            weight = module._parameters.get("weight")
        if isinstance(weight, Tensor) and weight.dim() >= 2 and not isinstance(module, nn.Embedding):
            yield name, weight.detach().flatten(1).float(), free
