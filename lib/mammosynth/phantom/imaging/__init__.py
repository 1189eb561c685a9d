"""X-rays through a breast, and what a unit makes of them: path lengths, signal, iodine, grey values.

`projection` gives path lengths (`paths`); `exposure` makes detector signal of them by `tables`, `beams`,
`transmission`, `scatter` and `detector`; `recombination` makes iodine of two exposures, `presentation` what is seen.
"""
