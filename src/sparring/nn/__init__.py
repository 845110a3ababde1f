"""Building blocks shared by families; a block moves here when a third family needs it."""
