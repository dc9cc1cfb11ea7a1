"""What travels from the edge to the evidence log: the leaf, its envelope and the configuration inside it."""
