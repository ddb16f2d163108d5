"""The claims of arXiv 2511.10840 on models that two cores can train; see __main__.py."""
