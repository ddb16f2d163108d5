"""From a model and text to one vector per sentence and layer."""
