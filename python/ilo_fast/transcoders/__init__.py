"""Cross-layer transcoders: a model's MLPs, replaced by sparse features that write across layers."""
