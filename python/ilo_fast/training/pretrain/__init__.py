"""Small language models from nothing, at chosen mixtures of languages.

mixture ─▶ tokenizer ─▶ model ─▶ loop ─▶ rows
pretrain   the public call that puts them together
"""
