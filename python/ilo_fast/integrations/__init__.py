"""Inside other people's pipelines and harnesses: leaves, each of which needs its own package."""
