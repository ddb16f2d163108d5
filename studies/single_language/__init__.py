"""The parts of the study single_language."""
