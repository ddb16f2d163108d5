"""Text: languages, parallel and labelled corpora, from files and from the Hub."""
