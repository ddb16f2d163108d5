"""How often each feature fires in each language; language told from script."""
