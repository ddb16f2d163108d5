"""Training: freeze, fine-tune, pre-train, and watch the overlap meanwhile.

freezing (uses)                 which parameters a forward pass depends on, and freezing them
callback (measuring, records)   the overlap, measured while any Trainer trains

finetune/  pretrain/            data and model of a run; below, what both share:
options ─▶ trainer, watch ─▶ run_folder ─▶ trained
process, model_state, identity  what is put back afterwards, and what makes a run another run
"""
