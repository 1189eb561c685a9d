"""The vocabulary: DICOM's own words and codes, as enumerations that every room shares."""

from enum import StrEnum


class ViewPosition(StrEnum):
    """View Position (0018,5101) of the two standard screening views."""

    CC = "CC"
    MLO = "MLO"


class ImageLaterality(StrEnum):
    """Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"


class PresentationIntentType(StrEnum):
    """Presentation Intent Type (0008,0068)."""

    FOR_PRESENTATION = "FOR PRESENTATION"
    FOR_PROCESSING = "FOR PROCESSING"
