"""Small language models from nothing, at chosen mixtures of languages.

mixture ─▶ tokenizer ─▶ rows, model ─▶ pretrain, the public call
"""
