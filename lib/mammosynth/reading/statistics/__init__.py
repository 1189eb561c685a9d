"""What a reader study says, as numbers with their intervals: pure functions of arrays and tables.

No file, store or protocol is known here. What each statistic assumes: `docs/concepts/reading-statistics.md`.
"""
