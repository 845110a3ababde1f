"""The conformance suite over every family found, and over toy games that stretch the engine."""

import pytest

import toys
from sparring.core.registry import families, load_family
from sparring.testing import CHECKS

ALL = {**{name: name for name in families()}, **{toy.__name__: toy for toy in toys.TOYS}}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("family", ALL.values(), ids=ALL.keys())
def test_family(family, check):
    check(load_family(family) if isinstance(family, str) else family)


def test_no_room_of_a_family_is_long():
    for name in families():
        import inspect

        module = inspect.getmodule(load_family(name))
        assert len(inspect.getsource(module).splitlines()) <= 250, f"{name} has outgrown its room"
