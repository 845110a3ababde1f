"""The conformance suite: what every family must hold, importable by anybody who writes one."""

from sparring.testing.conformance import CHECKS as CHECKS
from sparring.testing.conformance import check_family as check_family
