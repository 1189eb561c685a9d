"""The embedded PACS: a small DICOMweb service over a folder of DICOM files, for a laptop without any other PACS.

Why not a library: dicomweb_client's `DICOMfileClient` (0.60.1) was tried first. It answers only in the thread that
made it, keeps answering for files that were removed, indexes every file again at each start, ignores date ranges,
`includefield` and most attributes (silently: an unknown filter returns every patient), writes STOW files in place and
after the index, and switches pydicom's validation mode for the whole process. What is left for a library is used:
pydicom reads, checks, decodes and makes DICOM JSON, requests-toolbelt takes multipart bodies apart, FastAPI serves.
Production is any DICOMweb PACS; `orthanc.json` beside this folder configures the documented one.
"""

from monailabel_app.pacs.app import create_store_app

__all__ = ["create_store_app"]
