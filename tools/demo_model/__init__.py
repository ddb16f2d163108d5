"""Parts of ``tools/train_demo_model.py``: data, tokenizer, warm start, model, evaluation."""
