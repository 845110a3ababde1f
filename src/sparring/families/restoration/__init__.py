"""One file a family: pictures brought back from what was taken from them."""
