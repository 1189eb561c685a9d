"""Image files in and out, whatever their format: DICOM, PNG, JPEG, TIFF, NRRD and NIfTI."""

from mammosynth.files.read import read_image, read_label_map
from mammosynth.files.write import to_nrrd_bytes, write_image, write_label_map

__all__ = ["read_image", "read_label_map", "to_nrrd_bytes", "write_image", "write_label_map"]
