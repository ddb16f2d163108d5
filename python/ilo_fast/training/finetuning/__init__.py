"""One fine-tuning run, from arguments to a written model.

finetune   the public call: what is there already, what is left to do
options    its arguments, checked;  inputs: its data, read
run        the parts put together: heads, lora, examples, the Trainer
"""
