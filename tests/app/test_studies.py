import pytest

from mammosynth.errors import InvalidParameterError, UnsupportedImageError
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app.errors import NotFoundError, PacsError
from monailabel_app.studies import DicomWebStudies, ViewRequest, check_image_id, check_uid
from tests.support.archives import embedded_store, free_port
from tests.support.images import as_file, mammogram


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    write_exam(folder / "exams", seed=7, pixel_mm=3.6, patient_id="P", one_series=True)
    tomosynthesis = mammogram()
    tomosynthesis.SOPClassUID = tomosynthesis.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.13.1.3"
    (folder / "exams" / "tomosynthesis.dcm").write_bytes(as_file(tomosynthesis))
    with embedded_store(folder / "exams", index_folder=folder / "index") as url:
        archive = DicomWebStudies(url)
        archive.tomosynthesis = str(tomosynthesis.SeriesInstanceUID)
        yield archive


def _four_views(archive):
    return next(
        str(item["0020000E"]["Value"][0])
        for item in archive.mammography_series()
        if item["0008103E"]["Value"][0].startswith("SYNTHETIC PHANTOM all views")
    )


@pytest.mark.slow
def test_every_view_of_a_series_keeps_its_header(archive):
    views = archive.views(_four_views(archive), ViewRequest())
    assert {(v.image_laterality, v.view_position) for v in views} == {
        (side, position) for side in ImageLaterality for position in ViewPosition
    }


def test_no_view_of_a_series_is_chosen_silently(archive):
    with pytest.raises(UnsupportedImageError, match="holds 4 images: .* Ask for one of them by this UID"):
        archive.source(_four_views(archive), ViewRequest())
    address = archive.instances(_four_views(archive))[1]
    source, path = archive.source(_four_views(archive), ViewRequest(sop_instance_uid=address.sop_instance_uid))
    assert source.source_name == address.sop_instance_uid
    assert path is None


def test_an_instance_uid_names_one_view(archive):
    address = archive.instances(_four_views(archive))[2]
    assert archive.instances(address.sop_instance_uid) == [address]


def test_a_tomosynthesis_is_refused_before_it_is_fetched(archive):
    with pytest.raises(UnsupportedImageError, match="expected a digital mammography image"):
        archive.views(archive.tomosynthesis, ViewRequest())


def test_what_is_not_there_is_named(archive):
    with pytest.raises(NotFoundError, match=r"no series or instance 1\.2\.3"):
        archive.instances("1.2.3")
    with pytest.raises(NotFoundError, match=r"sop_instance_uid 1\.2\.3 is not in series"):
        archive.instances(_four_views(archive), "1.2.3")


def test_an_archive_that_is_down_is_reported_in_a_sentence():
    with pytest.raises(PacsError, match="cannot be reached while trying to search for studies"):
        DicomWebStudies(f"http://127.0.0.1:{free_port()}/dicom-web").check()


@pytest.mark.parametrize("value", ["", "1..2", "1.2/../3", "a", "1" * 65, "1.2.", "1.2\n"])
def test_bad_uids_are_refused(value):
    with pytest.raises(InvalidParameterError, match="expected a DICOM UID|not a DICOM UID"):
        check_uid(value, "image")


@pytest.mark.parametrize("value", ["", "../x", "/etc/passwd", "a/b", "a\\b", ".hidden", "a..b", "x" * 200, "a\n"])
def test_bad_image_ids_are_refused(value):
    with pytest.raises(InvalidParameterError, match="not a path"):
        check_image_id(value)
