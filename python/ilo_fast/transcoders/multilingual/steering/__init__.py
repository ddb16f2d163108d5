"""Suppression and substitution: does a model go on in another language when features are changed?

prompts ─▶ background ─▶ conditions ─▶ generating ─▶ measures ─▶ steer ─▶ result
halves of   means, from   what is done   how prompts   language,   strengths   a table of
lines       other text    to the model   go on         content     on one half all pairs
"""
