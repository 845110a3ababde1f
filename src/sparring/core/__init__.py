"""The nouns that everything else is written in. Nothing here knows a family or a kind of data."""
