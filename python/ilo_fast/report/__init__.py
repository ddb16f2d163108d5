"""What people read: tables on the terminal, figures, and one HTML file.

Everything here starts from an :class:`~ilo_fast.OverlapScores` and knows nothing of how it
came about. :mod:`~ilo_fast.report.tables` needs only the standard library and NumPy;
:mod:`~ilo_fast.plots.figures` needs matplotlib and :mod:`~ilo_fast.report.html` jinja2
(``pip install 'ilo_fast[report]'``).
"""
