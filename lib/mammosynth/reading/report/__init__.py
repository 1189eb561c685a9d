"""The report of a study: one HTML page and one PDF file, from its records alone, the same bytes each time."""
