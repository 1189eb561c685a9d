"""Image files in and out, whatever their format: DICOM, PNG, JPEG, TIFF, NRRD and NIfTI."""

from mammosynth.files.labels import mask_as_first_class, read_label_map, read_labels
from mammosynth.files.read import read_image
from mammosynth.files.write import to_nrrd_bytes, write_image, write_label_map

__all__ = [
    "mask_as_first_class",
    "read_image",
    "read_label_map",
    "read_labels",
    "to_nrrd_bytes",
    "write_image",
    "write_label_map",
]
