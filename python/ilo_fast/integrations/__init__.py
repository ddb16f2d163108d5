"""Inside other people's libraries: each part needs an extra, and nothing imports it."""
