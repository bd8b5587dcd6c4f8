"""Stage 2: Series -> Verdict. Does this memory come back, and if not, when does it run out?

`rules` holds every threshold and the table of transitions, `floor` the block minima over
several time scales, `trend` the arithmetic on one window, `opinion` what one window says,
`reasons` the sentences, and `stream` the judge that puts them together, sample by sample.
"""
