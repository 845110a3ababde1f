"""Probes and verdicts: what is known of a run beyond its losses."""
