"""The failure zoo: runs that fail in known ways, and healthy ones, to see what the referee says of them."""
