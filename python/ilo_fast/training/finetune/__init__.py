"""One fine-tuning run, from arguments to a written model.

finetune   the public call: what is there already, what is left to do
options    its arguments, checked;  inputs: its data, read;  identity: what makes it this run
run        the parts put together: heads, lora, examples, order, arguments of the Trainer;
           found: the model as it was before;  results: what the card says afterwards
"""
