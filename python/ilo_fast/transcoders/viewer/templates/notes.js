// What is known of features beyond the prompt, unpacked one at a time. No page in here.

function openNotes(record) {
  if (!record) return null;
  const n = record.layer.length, words = unpackTexts(record.words), languages = record.languages;
  const values = (name) => unpack(record[name]).values;
  const coded = ([low, high]) => { const a = unpack(low).values, b = unpack(high).values; return (i) => words[a[i] + 65536 * b[i]]; };
  const starts = (counts) => { const found = [0]; for (const count of counts) found.push(found[found.length - 1] + count); return found; };
  const contexts = starts(values("contexts")), lengths = starts(values("lengths"));
  const peaks = values("peaks"), language = values("language"), strength = values("strength"), token = coded(record.tokens);
  const top = values("top"), bottom = values("bottom"), logits = values("logits"), logitToken = coded(record.logit_tokens);
  const logitStarts = starts(Array.from(top, (count, i) => count + bottom[i]));
  const rates = values("rates"), density = values("density"), description = unpackTexts(record.description);
  const index = new Map(record.layer.map((layer, i) => [`${layer}:${record.feature[i]}`, i]));

  const one = (i) => ({
    description: description[i], density: density[i], maxActivation: record.max_activation[i],
    rates: languages.map((_, l) => rates[i * languages.length + l]),
    get contexts() {
      return Array.from({ length: contexts[i + 1] - contexts[i] }, (_, c) => {
        const at = contexts[i] + c, from = lengths[at];
        return {
          language: language[at], peak: peaks[at],
          tokens: Array.from({ length: lengths[at + 1] - from }, (_, t) => token(from + t)),
          strength: strength.slice(from, lengths[at + 1]),
        };
      });
    },
    get logits() {
      const pair = (at) => ({ token: logitToken(at), value: logits[at] }), from = logitStarts[i];
      return {
        top: Array.from({ length: top[i] }, (_, k) => pair(from + k)),
        bottom: Array.from({ length: bottom[i] }, (_, k) => pair(from + top[i] + k)),
      };
    },
  });
  return {
    n, languages,
    find: (layer, feature) => { const i = index.get(`${layer}:${feature}`); return i === undefined ? null : one(i); },
    // The language in which a feature is active most, if any more than another.
    mainLanguage: (layer, feature) => {
      const i = index.get(`${layer}:${feature}`);
      if (i === undefined || !languages.length) return -1;
      let best = -1;
      for (let l = 0; l < languages.length; l++) {
        const rate = rates[i * languages.length + l];
        if (rate > 0 && (best < 0 || rate > rates[i * languages.length + best])) best = l;
      }
      return best;
    },
  };
}
