"""Figures: arrays and labels in, matplotlib figures out (``pip install 'ilo_fast[report]'``)."""
