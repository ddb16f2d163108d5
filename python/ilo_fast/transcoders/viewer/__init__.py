"""The page that shows a graph: one file, offline."""
