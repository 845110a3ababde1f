"""Families that learn what is normal, and score how far anything is from it."""
