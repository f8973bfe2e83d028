"""Generated tweets: files in the Sentiment140 format that nobody wrote, for demos, tests and simulations.

They have the format and the flaws of the real training file at its rates, and structure worth learning, but no row of
it: users are `generated_000123`, mentions `@gen_mira7`, links go to example.com. What to know when reading a figure
that was measured on them:

- The polarity of every text follows from its words (`compose`), and 17 % of the labels are wrong on purpose, weakly
  worded tweets more often than strong ones. So the best accuracy that any model can reach is known: about 83 %.
- Topics depend on the date and on the polarity, and drift: `mix` and `news` in `topics.toml` are the only knobs, for a
  year from 6 April 2009; after it they do not change.
- It is easier than real language: a closed vocabulary, no irony, no knowledge of the world.

    files        stretches, counts, compression; `write_sample`, `write_gold_sample`
    lines        times, ids, users and columns around the texts
    flaws        quotas of flaws, in texts and in whole lines
    compose      polarity from composition
    vocabulary   words and forms from topics.toml and phrases.toml
    fragments    matrices of fragment numbers to bytes
"""

from sentiment.sample.files import SampleSummary, Span, write_gold_sample, write_sample
from sentiment.sample.flaws import REJECT_REASONS

__all__ = ["REJECT_REASONS", "SampleSummary", "Span", "write_gold_sample", "write_sample"]
