"""MONAI Label's view of a DICOMweb archive of mammograms.

The platform's own datastore converts series to NIfTI and loses the header (laterality, view, photometric
interpretation, VOI LUT). This one hands clients a 16-bit NRRD per image; synthesis reads the DICOM by `studies`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monailabel.datastore.dicom import DICOMWebDatastore

from mammosynth.atomic import atomic_path
from mammosynth.dicom.contrast_enhanced import Exposure, exposure_in
from mammosynth.files import to_nrrd_bytes
from monailabel_app.dicom_json import value_of
from monailabel_app.studies import DicomWebStudies, ViewRequest, check_image_id


class MammogramDatastore(DICOMWebDatastore):
    """Images are acquired MG series; a series of several views counts as one image per instance.

    An image id is a Series Instance UID, or a SOP Instance UID where the series holds several images.
    """

    def __init__(self, studies: DicomWebStudies, cache_path: str | None) -> None:
        self._studies = studies
        super().__init__(client=studies.client, search_filter={"Modality": "MG"}, cache_path=cache_path)

    def list_images(self) -> list[str]:
        """Ids of everything that can be a source, always as the archive is now.

        Recombined and high-energy series are left out by their description; one that says so in its Image Type only is
        refused when it is used.
        """
        ids: list[str] = []
        for item in self._studies.mammography_series():
            if exposure_in(value_of(item, "0008103E", "")) in (Exposure.RECOMBINED, Exposure.HIGH_ENERGY):
                continue
            series = value_of(item, "0020000E")
            if value_of(item, "00201209") == 1:
                ids.append(series)
                continue
            addresses = self._studies.instances(series)
            ids += [series] if len(addresses) == 1 else [address.sop_instance_uid for address in addresses]
        return ids

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """None: this app makes images, not labels."""
        return []

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Every image, for the `random` and `first` strategies."""
        return self.list_images()

    def get_image_uri(self, image_id: str) -> str:
        """Path of a 16-bit NRRD of the image's display values, written once into the cache.

        Raises:
            NotFoundError: If the archive does not hold the image.
            InvalidParameterError: If the id is not an image id.
            UnsupportedImageError: If the id stands for several views.
        """
        check_image_id(image_id)
        target = Path(self._datastore.image_path()) / f"{image_id}.nrrd"
        if not target.is_file():
            view = self._studies.source(image_id, ViewRequest())[0]
            with atomic_path(target) as temporary:
                temporary.write_bytes(to_nrrd_bytes(view.pixels, view, generated=False))
        return str(target)

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Study and series of the image; nothing that identifies the patient."""
        address = self._studies.instances(check_image_id(image_id))[0]
        return {
            "Modality": "MG",
            "StudyInstanceUID": address.study_instance_uid,
            "SeriesInstanceUID": address.series_instance_uid,
            "SOPInstanceUID": address.sop_instance_uid,
        }

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Nothing to keep: the archive is the only record."""
