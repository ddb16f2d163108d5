"""A graph in parts: which parts, what each computes, how they are saved and put together.

Nothing here knows who runs the parts, or where.
"""
