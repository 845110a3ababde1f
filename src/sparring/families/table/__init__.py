"""Families that make rows of tables."""
