"""What a model is: where it comes from, how it is loaded, what it is built of, its limits."""
