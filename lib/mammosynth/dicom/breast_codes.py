"""What the parts of a breast are called in SNOMED CT, for segments of any origin."""

from __future__ import annotations

import re

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

_TISSUE, _ABNORMAL = codes.SCT.Tissue, codes.SCT.MorphologicallyAbnormalStructure
_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
# CID 7163, breast segmentation types
FATTY_TISSUE = Code("89749009", "SCT", "Fatty tissue of breast")
SKIN = Code("82038008", "SCT", "Skin of breast")
FIBROGLANDULAR_TISSUE = Code("1342375003", "SCT", "Breast fibroglandular tissue")
_CODES = {  # by a word that begins in the name of a class: its category (CID 7150) and type
    "adipose": (_TISSUE, FATTY_TISSUE),
    "fat": (_TISSUE, FATTY_TISSUE),
    "fibroglandular": (_TISSUE, FIBROGLANDULAR_TISSUE),
    "gland": (_TISSUE, FIBROGLANDULAR_TISSUE),
    "skin": (_TISSUE, SKIN),
    "pectoral": (_TISSUE, codes.SCT.PectoralisMajorMuscle),
    "muscle": (_TISSUE, codes.SCT.PectoralisMajorMuscle),
    "nipple": (_ANATOMY, codes.SCT.Nipple),
    "breast": (_ANATOMY, codes.SCT.Breast),
    "calcification": (_ABNORMAL, codes.SCT.CalcificationOfBreast),
    "microcalcification": (_ABNORMAL, codes.SCT.CalcificationOfBreast),
    "mass": (_ABNORMAL, codes.SCT.Lesion),
    "lesion": (_ABNORMAL, codes.SCT.Lesion),
}
_OWN_SCHEME = "99MAMMOSYNTH"  # for classes that nobody else knows
_LESIONS = {"malignant", "benign"}


def code_of_class(name: str, number: int) -> tuple[Code, Code]:
    """Category and type of what a class is called.

    Args:
        name: Such as "pectoral muscle".
        number: Of the class: what one that nobody else knows is told by.
    """
    words = re.findall("[a-z]+", name.casefold())
    if _LESIONS & set(words):
        return _ABNORMAL, codes.SCT.Lesion
    known = (code for word in words for start, code in _CODES.items() if word.startswith(start))
    return next(known, (_TISSUE, Code(f"CLASS{number}", _OWN_SCHEME, name[:64])))
