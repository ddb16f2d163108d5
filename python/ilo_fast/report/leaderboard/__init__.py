"""Many models and corpora in one folder: a file each, tables of all, a page."""
