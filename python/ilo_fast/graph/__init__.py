"""The exact k-nearest-neighbour graph: on the CPU, on a GPU, and approximate ones beside them."""
