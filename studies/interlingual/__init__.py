"""Which layers and languages share a region, in three models: see __main__.py."""
