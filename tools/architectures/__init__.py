"""What architecture_coverage.py builds and checks."""
