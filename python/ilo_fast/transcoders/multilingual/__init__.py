"""What the features of a transcoder say about languages.

    lines ─▶ line_features ─▶ rates              how often each feature fires in which language
    text     one table:       sharing            what translations have in common; ILO beside it
             line x feature   language_features  of single languages: found, tested, switched off
                              probes             what layers know of languages, linearly
                              words              whole words at their last piece

and of running models

    steering    a language suppressed, another put in its place
    diffing     what training changed

`matched` draws the random features that claims stand beside, `documents` halves text and permutes
the labels of documents.
"""
