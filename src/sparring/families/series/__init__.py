"""Families for series."""
