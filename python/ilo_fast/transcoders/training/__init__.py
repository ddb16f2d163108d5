"""How a transcoder is trained: windows of text, a shuffle buffer, steps, a run's folder."""
