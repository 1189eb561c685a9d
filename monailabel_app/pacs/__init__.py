"""The embedded PACS: a small DICOMweb service over a folder of DICOM files, for a laptop without any other PACS.

Why not a library: dicomweb_client's `DICOMfileClient` (0.60.1) was tried first. It answers only in the thread that
made it, keeps answering for files that were removed, indexes every file again at each start, ignores date ranges,
`includefield` and most attributes (silently: an unknown filter returns every patient), writes STOW files in place and
after the index, and switches pydicom's validation mode for the whole process. What is left for a library is used:
pydicom reads, checks, decodes and makes DICOM JSON, requests-toolbelt takes multipart bodies apart, FastAPI serves.
Production is any DICOMweb PACS; `orthanc.json` beside this folder configures the documented one.

Made for some thousand images. `benchmarks/archive.py` with 2,000 studies of four images, on two cores that others used,
too: first start 47 s, restart 1.3 s, 140 MiB, list of all studies 24 ms, one patient 10 ms, one frame 3 ms; 20 clients
at once wait 0.2 s (p95), since all answers are made by one process of Python. What grows with the number of files is
the look at the folder (7 us a file, at most a tenth of the time) and queries for attributes that lists do not show,
which SQLite reads one by one. Take Orthanc for more, for clients all over a clinic, or where others write into the
folder all the time.
"""

from monailabel_app.pacs.app import create_store_app

__all__ = ["create_store_app"]
