"""What the features of a transcoder say about languages.

    line_features ─▶ language_rates    how often each feature fires, in which languages
                  ─▶ script_split      whether it follows the language or its script
                  ─▶ sharing           which features translations have in common
                  ─▶ representations   ILO, retrieval and the rest, on feature vectors
                  ─▶ language_features found on one half of the documents, tested on the other
                  ─▶ probes, words     what layers know of languages and of whole words

and on a running model: ablation, steering (suppression and substitution), diffing.
"""
