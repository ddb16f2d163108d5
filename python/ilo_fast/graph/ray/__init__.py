"""The exact graph on the nodes of a Ray cluster, which schedules, retries, places and spills."""
