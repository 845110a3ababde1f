"""One file a family: pictures of one kind made of pictures of another."""
