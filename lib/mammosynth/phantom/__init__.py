"""A computer-generated patient for mammography, with the truth about her: anatomy, compression, X-rays, recombination.

From a seed to `PhantomView`s (`case`), from these to DICOM files (`write`, `cohort`, `study`) and to training pairs
(`pairs` in memory, `read` from files). It says how a model recovers what the simulation knows; it is never evidence
about patients.
"""
