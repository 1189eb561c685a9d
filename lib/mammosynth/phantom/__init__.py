"""A computer-generated patient for mammography, with the truth about her.

Three rooms, each of which knows those below it:

- `clinic`: patients, exams, cohorts; from a seed to `PhantomView`s, to DICOM files and to training pairs.
- `imaging`: X-rays through a breast, and the grey values that a unit makes of them.
- `anatomy`: the breast, uncompressed and between the paddles.

`parameters` is what can be asked of all three. A phantom says how a model recovers what the simulation knows; it is
never evidence about patients.
"""
