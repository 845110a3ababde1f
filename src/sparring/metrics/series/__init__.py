"""Metrics of series: pure functions of scaled values `(n, channels, length)`, NaN after the end of a series."""
