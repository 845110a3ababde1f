"""``--train.augment``: what judges of pictures see changed (nn/augment.py), whatever the family."""

from sparring.core.config import Train
from sparring.core.errors import SparringError
from sparring.core.game import Game
from sparring.core.observer import Controller
from sparring.nn.adaptive import AdaptiveProbability, ScheduledProbability
from sparring.nn.augment import adapts, augmented


def augment(game: Game, train: Train) -> list[Controller]:
    """Put ``train.augment`` in front of each of the game's judges; returns who writes ada's p, one for each judge.

    Call it before anybody asks for the players: a judge is another module afterwards, with the same state.

    Raises `SparringError` for a kind that does not exist, for data that are no pictures, and for a family that has no
    place for it.
    """
    kind = train.augment
    if kind == "none":
        return []
    if game.spec.modality != "image":
        raise SparringError(f"train.augment {kind} changes pictures, and these are {game.spec.modality} data")
    if game.not_augmentable:
        raise SparringError(f"train.augment {kind} has no place in this family: {game.not_augmentable}")
    controllers: list[Controller] = []
    for name in game.judges():
        if name not in game.players():
            raise SparringError(f"train.augment {kind} found no player '{name}'; the family's judges() must name one")
        judge = augmented(game.get_submodule(name), kind)
        setattr(game, name, judge)
        if adapts(judge):
            controllers.append(writer(game, name, train))
    return controllers


def writer(game: Game, judge: str, train: Train) -> Controller:
    """Who writes p: the schedule to ``train.augment_p``, or ADA's own rule where the loss has a boundary."""
    if train.augment_p > 0:
        return ScheduledProbability(train.augment_p, train.augment_kimg, judge)
    boundary = game.boundary(judge)
    if boundary is None:
        raise SparringError(
            "train.augment ada cannot tell with this loss how sure D is; take diff, or say --train.augment-p 0.3 for a "
            "probability that rises to that and stays"
        )
    return AdaptiveProbability(judge, boundary, kimg=train.augment_kimg)
