"""One room a family, grouped by kind. A file here is a family; there is no list to add it to."""
