"""How linearly layers encode language, and what early layers know of late language features."""
