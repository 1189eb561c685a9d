"""Which view of which breast a header describes: View Position and Image Laterality, however the vendor spells them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammosynth.dicom.attributes import code_of, items_of, label_of, numbers_of, text_of
from mammosynth.errors import UnsupportedImageError
from mammosynth.terms import ImageLaterality, ViewPosition

VIEW_CODES: dict[ViewPosition, Code] = {  # CID 4014
    ViewPosition.CC: codes.SCT.CranioCaudal,
    ViewPosition.MLO: Code("399368009", "SCT", "medio-lateral oblique"),
}
_REFUSED_MODIFIERS = (  # CID 4015: views of a part of the breast, or at another scale
    Code("399163009", "SCT", "magnification"),
    Code("399055006", "SCT", "spot compression"),
    Code("399110001", "SCT", "tangential"),
    Code("399161006", "SCT", "cleavage"),
    Code("399011000", "SCT", "axillary tail"),
)
_Term = TypeVar("_Term", ViewPosition, ImageLaterality)
_LEFT = Code("7771000", "SCT", "left")
_RIGHT = Code("24028007", "SCT", "right")
_MAGNIFIED_FROM = 1.3  # contact views are below 1.1 in every vendor's files we saw, magnification views at 1.5 and more


@dataclass(frozen=True)
class View:
    """What the header says about the view; None where it says nothing."""

    view_position: ViewPosition | None
    image_laterality: ImageLaterality | None
    warnings: tuple[str, ...]


def read_view(
    header: Dataset,
    name: str,
    *,
    view_position: ViewPosition | None = None,
    image_laterality: ImageLaterality | None = None,
) -> View:
    """The view and the side of an image, from the caller if given, else from the header.

    Args:
        header: Attributes of the image.
        name: How messages name the image.
        view_position: Overrides the header.
        image_laterality: Overrides the header.

    Returns:
        The view; contradictions that were settled are warnings.

    Raises:
        UnsupportedImageError: If the header names a view other than CC or MLO, a magnified or partial view, or both
            breasts, and the caller did not override it.
    """
    warnings: list[str] = []
    position = _settle(_view_position(header, name, view_position), view_position, "View Position", name, warnings)
    laterality = _settle(
        _image_laterality(header, name, image_laterality, warnings),
        image_laterality,
        "Image Laterality",
        name,
        warnings,
    )
    warnings += _modifier_warnings(header, name, overridden=view_position is not None)
    return View(position, laterality, tuple(warnings))


def _settle(found: _Term | None, wanted: _Term | None, label: str, name: str, warnings: list[str]) -> _Term | None:
    if wanted is None:
        return found
    if found is not None and found != wanted:
        warnings.append(f"{name}: {label} is {found} in the header; {wanted} was set by the caller and is used.")
    return wanted


def _view_position(header: Dataset, name: str, override: ViewPosition | None) -> ViewPosition | None:
    """CC or MLO from View Position (0018,5101) and View Code Sequence (0054,0220); None if both are silent."""
    stated = {
        view: where
        for view, where in (
            (text_of(header, "ViewPosition"), label_of("ViewPosition")),
            (_coded_view(header), label_of("ViewCodeSequence")),
        )
        if view
    }
    if not stated and text_of(header, "PatientOrientation") in set(ViewPosition):
        return ViewPosition(text_of(header, "PatientOrientation"))  # digitised films of CBIS-DDSM
    if override is not None:
        return next((ViewPosition(view) for view in stated if view in set(ViewPosition)), None)
    for view, where in stated.items():
        if view not in set(ViewPosition):
            raise UnsupportedImageError(
                f"{name}: {where} is '{view}', expected CC or MLO; choose another image or set view_position."
            )
    if len(stated) > 1:
        raise UnsupportedImageError(
            f"{name}: {' and '.join(f'{where} is {view!r}' for view, where in stated.items())}, which contradict each "
            "other; set view_position to CC or MLO."
        )
    return next((ViewPosition(view) for view in stated), None)


def _coded_view(header: Dataset) -> str:
    """CC, MLO, the meaning of another code, or "" if there is none."""
    for item in items_of(header, "ViewCodeSequence"):
        code = code_of(item)
        for view, known in VIEW_CODES.items():
            if code == known or _letters(code.meaning) == _letters(known.meaning):
                return str(view)
        if code.value or code.meaning:
            return code.meaning or code.value
    return ""


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalpha())


def _image_laterality(
    header: Dataset, name: str, override: ImageLaterality | None, warnings: list[str]
) -> ImageLaterality | None:
    """L or R from Image Laterality, else Laterality of the series, else the modifier of the anatomic region."""
    image, series = text_of(header, "ImageLaterality"), text_of(header, "Laterality")
    if image == "B" and override is None:
        raise UnsupportedImageError(
            f"{name}: {label_of('ImageLaterality')} is 'B' (both breasts), expected L or R; choose another image "
            "or set image_laterality."
        )
    if image in set(ImageLaterality):
        if series in set(ImageLaterality) and series != image:
            warnings.append(f"{name}: Image Laterality is {image}, Laterality is {series}; Image Laterality is used.")
        return ImageLaterality(image)
    if series in set(ImageLaterality):
        return ImageLaterality(series)
    for region in items_of(header, "AnatomicRegionSequence"):
        for modifier in items_of(region, "AnatomicRegionModifierSequence"):
            for side, code in ((ImageLaterality.LEFT, _LEFT), (ImageLaterality.RIGHT, _RIGHT)):
                if code_of(modifier) == code:
                    return side
    return None


def _modifier_warnings(header: Dataset, name: str, *, overridden: bool) -> list[str]:
    """Sentences about view modifiers and magnification; refuses views that are partial or magnified by their code."""
    warnings = []
    modifiers = [
        code_of(modifier)
        for item in (*items_of(header, "ViewCodeSequence"), header)
        for modifier in items_of(item, "ViewModifierCodeSequence")
    ]
    for modifier in modifiers:
        meaning = modifier.meaning or modifier.value
        if any(modifier == refused for refused in _REFUSED_MODIFIERS) and not overridden:
            raise UnsupportedImageError(
                f"{name}: {label_of('ViewModifierCodeSequence')} is '{meaning}', expected a view of the whole breast "
                "without magnification; choose another image or set view_position to use it all the same."
            )
        if meaning:
            warnings.append(f"{name}: the view is modified ({meaning}); models are made for unmodified views.")
    magnification = numbers_of(header, "EstimatedRadiographicMagnificationFactor")
    if magnification and magnification[0] >= _MAGNIFIED_FROM:
        warnings.append(
            f"{name}: {label_of('EstimatedRadiographicMagnificationFactor')} is {magnification[0]:g}; models are made "
            "for contact views."
        )
    return warnings
