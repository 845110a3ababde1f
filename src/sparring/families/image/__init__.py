"""Families that make images."""
