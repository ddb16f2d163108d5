"""What ships with the package: the demo text, and that the demo model shows what it is for."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from ilo_fast import ParallelCorpus

# How Unicode names the letters of a script of ISO 15924; Japanese mixes three.
SCRIPTS = {
    "Latn": ("LATIN",),
    "Cyrl": ("CYRILLIC",),
    "Arab": ("ARABIC",),
    "Beng": ("BENGALI",),
    "Deva": ("DEVANAGARI",),
    "Hans": ("CJK",),
    "Hant": ("CJK",),
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"),
    "Sinh": ("SINHALA",),
    "Telu": ("TELUGU",),
    "Thai": ("THAI",),
}


@pytest.mark.parametrize("code", ParallelCorpus.demo().languages)
def test_demo_text(code):
    lines = ParallelCorpus.demo().sentences[code]
    assert len(lines) == len(set(lines)) == 60
    for line in lines:
        assert line == unicodedata.normalize("NFC", line).strip()
        for letter in filter(str.isalpha, line):
            name = unicodedata.name(letter)
            assert name.startswith(SCRIPTS[code.partition("_")[2]]), (line, name)


def test_demo_model_mixes_by_meaning_in_the_middle():
    """The claims of the model's card, on the demo corpus, with the shuffled control."""
    from ilo_fast import extract, overlap
    from ilo_fast.models.demo import demo_model_path

    reps = extract(demo_model_path(), ParallelCorpus.demo(), progress=False)
    scores = overlap(reps)
    mean = scores.ilo.mean(axis=1)
    best = int(mean.argmax())
    assert 0 < best < len(mean) - 1
    assert mean[best] > mean[0] + 0.2 and mean[best] > mean[-1] + 0.2
    assert scores.translation_share[best].mean() > 10 * scores.translation_chance.mean()
    # Scripts that it never saw: they stay among themselves.
    unseen = [scores.languages.index(code) for code in ("tha_Thai", "sin_Sinh")]
    assert scores.ilo[best, unseen].max() < 0.2 < mean[best]

    rng = np.random.default_rng(0)
    shuffled = {code: reps[code][best][rng.permutation(60)] for code in reps}
    control = overlap(shuffled, parallel=True)
    assert abs(control.ilo.mean() - mean[best]) < 1e-9  # the same graph: ILO cannot see meaning
    assert control.translation_share.mean() < 3 * scores.translation_chance.mean()


@pytest.mark.parametrize("name", ["demo", "demo-per-layer"])
def test_demo_transcoders_imitate_the_mlps_of_the_demo_model(name):
    """On sentences that neither saw; the card has the figures of all languages."""
    import torch

    from ilo_fast.models.demo import demo_model_path
    from ilo_fast.models.source import ModelSource
    from ilo_fast.transcoders import MLPReader, check_fits, load_transcoder, read_windows
    from ilo_fast.transcoders.files.folder import transcoder_path

    source = ModelSource.open(demo_model_path(), dtype=torch.float32)
    reader = MLPReader(source.load().backbone)
    transcoder = load_transcoder(name)
    check_fits(transcoder, reader)
    assert transcoder.cross_layer == (name == "demo")
    text = ParallelCorpus.demo(("deu_Latn", "hin_Deva")).sentences
    windows, _ = read_windows(source.tokenizer, text, context_length=64, eval_fraction=0.17)
    x, y = (values[:, 1:].flatten(0, 1) for values in reader.read(windows.ids))
    error = (transcoder(x) - y).square().sum(dim=(0, 2))
    explained = 1 - error / (y - y.mean(dim=0)).square().sum(dim=(0, 2))
    assert explained.min() > 0.5 and explained.mean() > 0.7, explained
    files = list(transcoder_path(name).parent.rglob("*"))
    assert sum(file.stat().st_size for file in files if file.is_file()) <= 4_000_000
