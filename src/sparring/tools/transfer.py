"""``--from RUN``: begin with what another run has learnt, where the networks agree."""

import torch

from sparring.core.errors import SparringError
from sparring.core.folder import RunFolder
from sparring.engine import checkpoint
from sparring.engine.loop import Engine


def adopt(engine: Engine, source: RunFolder) -> str:
    """Copy weights, buffers and averages of the same name and shape from the newest state of ``source``.

    Optimisers begin afresh and progress at 0: it is a new run on other data. Returns what was taken, as a sentence.

    Raises:
        SparringError: when ``source`` has no whole state, or nothing in it fits, or not what is to be held.
    """
    found = [state for state in checkpoint.load_newest(source.state) if not isinstance(state, str)]
    if not found:
        raise SparringError(f"--from {source.root}: there is no training state in {source.state}")
    tensors, position = found[0]
    own, _ = engine.state()
    taken, left = 0, []
    with torch.no_grad():
        for group in ("game", "average"):
            for name, value in own[group].items():
                given = tensors[group].get(name)
                if given is not None and given.shape == value.shape:
                    value.copy_(given)
                    taken += group == "game"
                elif group == "game":
                    left.append(name)
    if not taken:
        raise SparringError(f"--from {source.root}: none of its weights fit these networks; use the same family")
    held = {id(tensor) for tensor in engine.held.tensors()}
    names = {id(tensor): name for name, tensor in engine.game.state_dict(keep_vars=True).items()}
    missing = [names[key] for key in held if names.get(key) in left]
    if missing:
        raise SparringError(
            f"--from {source.root}: it has no {min(missing)} that fits, which train.freeze_d would keep"
        )
    sentence = f"took {taken} of {taken + len(left)} tensors of {source.root} at {position['nimg'] / 1000:g} kimg"
    return sentence + (f"; these begin afresh: {', '.join(left[:4])}{' ...' if len(left) > 4 else ''}" if left else "")
