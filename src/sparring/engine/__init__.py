"""Plays games. Knows no family and no kind of data."""
