"""DICOM in and out: a Mammogram from a vendor's instance, a marked derived instance from a result."""
