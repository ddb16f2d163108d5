"""What training has changed in a model, feature by feature, beyond what seeds alone change."""
