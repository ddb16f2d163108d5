"""The parts of the study `benchmarks/single_language.py`."""
