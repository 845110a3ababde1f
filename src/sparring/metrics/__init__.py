"""One file a metric: pure functions of samples or features."""
