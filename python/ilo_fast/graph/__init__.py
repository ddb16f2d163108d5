"""The exact k-nearest-neighbour graph: on the CPU, on a GPU, and hnswlib beside them."""
