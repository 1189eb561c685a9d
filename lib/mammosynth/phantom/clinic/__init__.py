"""Patients, exams and cohorts, in memory and as files.

`case` makes the imaged views of a seed. `export` and `truth` describe them in DICOM; `write` puts a case, `exam` what
an archive holds and `cohort` many cases with their `manifest` into a folder. `pairs` (in memory) and `read` (from such
a folder) give training pairs.
"""
