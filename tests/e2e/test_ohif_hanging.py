"""Real OHIF hangs mammograms as radiologists expect: right breast on the left, chest walls back to back."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.ohif import names, open_study, plain_names, shot, shown, wait_for, wait_until_drawn
from tests.support.server import find_series, running
from tests.support.viewports import views as places

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PIXEL_MM = 1.8  # 127 x 106 pixels
VIEWS = ["R CC", "L CC", "R MLO", "L MLO"]
FOUR = [f"{view} low energy" for view in VIEWS]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server over one exam, and three made from it that are harder to hang."""
    folder = tmp_path_factory.mktemp("hanging")
    files = write_exam(folder / "usual", seed=1, pixel_mm=PIXEL_MM, patient_id="USUAL")
    _change(files, folder / "uncoded", "UNCODED", _without_view_code)
    _change(files, folder / "mirrored", "MIRRORED", _mirrored)
    _change(files[:1], folder / "unknown", "UNKNOWN", _without_view)
    _change(files, folder / "together", "TOGETHER", _in_one_series)
    with running(tmp_path_factory.mktemp("data"), "--studies", str(folder)) as it:
        yield it


def _change(files, folder, patient, change):
    """The same exam as that of another patient, each image changed."""
    folder.mkdir()
    uids = {}
    for number, file in enumerate(files, start=1):
        dataset = dcmread(file)
        dataset.PatientID, dataset.InstanceNumber = patient, number
        change(dataset)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            dataset[keyword].value = uids.setdefault(
                dataset[keyword].value, generate_uid(entropy_srcs=[patient, str(dataset[keyword].value)])
            )
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / file.name)


def _without_view_code(dataset):
    del dataset.ViewCodeSequence


def _mirrored(dataset):
    """Stored as some digitizers do: every chest wall on the left."""
    if dataset.ImageLaterality == "R":
        dataset.PixelData = np.ascontiguousarray(dataset.pixel_array[:, ::-1]).tobytes()
        dataset.PatientOrientation = ["A", dataset.PatientOrientation[1]]


def _without_view(dataset):
    del dataset.ViewCodeSequence, dataset.ViewPosition, dataset.ImageLaterality


def _in_one_series(dataset):
    dataset.SeriesInstanceUID, dataset.SeriesDescription = "1.2.3", "all views"


def _study(server, patient):
    return next(iter(find_series(server, patient).values()))[0]


def _chest_walls(page):
    """The side of each viewport on which the breast touches the edge."""
    edges = [(picture[:, 3:9].mean(), picture[:, -9:-3].mean()) for picture in wait_until_drawn(page, 4)]
    return ["left" if left > right else "right" for left, right in edges]


@pytest.mark.parametrize("patient", ["USUAL", "UNCODED", "MIRRORED"])
def test_four_views_hang_with_the_right_breast_on_the_left_and_chest_walls_back_to_back(page, server, patient):
    open_study(page, server, _study(server, patient))
    assert names(page) == FOUR
    assert _chest_walls(page) == ["right", "left", "right", "left"]
    shot(page, f"hanging-{patient.lower()}", server)
    assert [view["mirrored"] for view in shown(page)] == [patient == "MIRRORED", False] * 2


def test_views_of_one_series_hang_in_their_own_viewports(page, server):
    open_study(page, server, _study(server, "TOGETHER"))
    views = page.evaluate(
        """async () => {
          const { describe, views } = await import('/ohif/extensions/viewer.js');
          return views().map(view => describe(view).split(',')[0]);
        }"""
    )
    assert views == VIEWS
    assert _chest_walls(page) == ["right", "left", "right", "left"]


def test_an_image_of_unknown_view_hangs_alone(page, server):
    open_study(page, server, _study(server, "UNKNOWN"))
    assert wait_for(page, lambda: names(page) == ["R CC low energy"])


def test_each_view_hangs_beside_what_was_synthesized_from_it(page, server):
    for view in ("R CC", "L MLO"):
        server.synthesize(*find_series(server, "USUAL")[f"{view} low energy"], parameters={"uncertainty": True})
    panel = open_study(page, server, _study(server, "USUAL"))
    layout = panel.get_by_label("Layout")
    assert layout.input_value() == "mammosynth.pair"
    layout.select_option("mammosynth.current-synthesized")
    right, left = [FOUR[0], "SYNTHETIC contrast R CC"], [FOUR[3], "SYNTHETIC contrast L MLO"]
    assert wait_for(page, lambda: plain_names(page) == [*right, FOUR[1], FOUR[2], *left]), plain_names(page)
    grid = page.locator("[data-cy='viewport-grid'] [data-cy='viewport-pane']")
    assert grid.count() == 8
    shot(page, "hanging-current-synthesized", server)

    page.mouse.click(*places(page)[0].at(60, 60))
    layout.select_option("mammosynth.pair")
    assert wait_for(page, lambda: plain_names(page) == right), plain_names(page)
    layout.select_option("mammosynth.screening")
    assert wait_for(page, lambda: plain_names(page) == FOUR), plain_names(page)


def test_a_mirrored_image_is_shown_the_usual_way_beside_another_too(page, server):
    open_study(page, server, _study(server, "MIRRORED"))
    page.evaluate(
        """async () => {
          const { mammograms } = await import('/ohif/extensions/viewer.js');
          const { showBeside } = await import('/ohif/extensions/beside.js');
          const named = view => mammograms().find(set => set.SeriesDescription.includes(view));
          await showBeside(named('R CC'), [named('L CC')]);
        }"""
    )
    assert wait_for(page, lambda: [view["mirrored"] for view in shown(page)] == [True, False])
    assert names(page) == FOUR[:2]
