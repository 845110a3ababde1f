"""Losses and penalties: pure functions of logits and callables, with shape checks and hand-worked tests."""
