"""What people read: tables on the terminal, figures in files, and one HTML file.

Everything here starts from a result (`OverlapScores`, `TransferScores`, the records of a training
run) and knows nothing of how it came about. Tables need NumPy alone; figures need matplotlib and
the page jinja2 (``pip install 'ilo_fast[report]'``).
"""
