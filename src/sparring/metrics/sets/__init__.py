"""What is measured of each kind of data: one module a modality, with ``METRICS`` and ``CHEAP``."""
