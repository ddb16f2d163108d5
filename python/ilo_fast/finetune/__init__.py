"""Fine-tuning: freeze, train, watch the overlap while it trains, measure what transfers.

    texts, labelled ─▶ training (freezing, callback) ─▶ transfer
    mixture         ─▶ pretraining (callback)

Every loop is the transformers ``Trainer``'s.
"""
