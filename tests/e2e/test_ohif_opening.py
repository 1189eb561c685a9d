"""What a study opens with, what is said on its images, and what goes with them: windows, uncertainty, outlines."""

import numpy as np
import pytest
from pydicom import dcmread

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.ohif import names, shown, wait_for
from tests.support.server import find_series, running, stow, study_of
from tests.support.viewports import assert_in_place, at_every_size, misplaced, screenshot, views, watched_page

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("nothing_went_wrong"), at_every_size]
PIXEL_MM = 1.8  # 127 x 106 pixels
FOUR = ["R CC", "L CC", "R MLO", "L MLO"]
# Pixels of each viewport's overlay of lesions that show something, within a part of the image.
_OUTLINED = """async () => {
  const { views } = await import('/ohif/extensions/viewer.js');
  const { viewportOf } = await import('/ohif/extensions/ohif.js');
  return views().map(({ viewportId }) => {
    const canvas = viewportOf(viewportId).element.querySelector('.mammosynth-lesions');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length;
  });
}"""

# Patients whose images are loaded.
_PATIENTS = """async () => {
  const { services } = await import('/ohif/extensions/viewer.js');
  const instances = services().displaySetService.getActiveDisplaySets().flatMap(({ instances }) => instances);
  return [...new Set(instances.map(({ PatientID }) => PatientID))];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Studies of one view (ONE), of one view with a result (PAIR), of four with a result each (ALL); no view codes."""
    folder = tmp_path_factory.mktemp("exams")
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        for seed, (patient, count) in enumerate({"ONE": 3, "PAIR": 3, "ALL": 4}.items(), start=1):
            files = write_exam(folder / patient, seed=seed, pixel_mm=PIXEL_MM, patient_id=patient)
            for file in files:
                dataset = dcmread(file)
                del dataset.ViewCodeSequence
                dataset.save_as(file)
            stow(it, files if count == 4 else files[count - 1 : count]).raise_for_status()
        it.synthesize(*find_series(it, "PAIR")["R MLO low energy"])
        for view in FOUR:
            parameters = {"uncertainty": view.endswith("CC")}
            it.synthesize(*find_series(it, "ALL")[f"{view} low energy"], parameters=parameters)
        yield it


@pytest.fixture(scope="module")
def page(browser, screen):
    """One page a size, since opening it takes longer than the tests do."""
    page = watched_page(browser, screen)
    yield page
    page.close()


def open_patient(page, server, patient, count, *, asked=""):
    study = study_of(server, patient)
    page.goto(f"{server.address}/ohif/synthesis?StudyInstanceUIDs={study}{asked}")
    page.locator("mammosynth-panel #advanced input").first.wait_for(state="attached")
    assert_in_place(page, count)
    return page.locator("mammosynth-panel")


def labels(page):
    """What is written on each viewport, line by line, in the order of the grid."""
    return [text.split("\n") for text in page.locator(".mammosynth-label").all_inner_texts()]


def test_a_study_of_one_view_opens_as_one_image_with_its_side_and_view(page, server, screen):
    open_patient(page, server, "ONE", 1)
    assert names(page) == ["R MLO low energy"]
    assert labels(page) == [["R MLO", "SYNTHETIC PHANTOM R MLO low energy", "2026-01-01"]]
    screenshot(page, f"opening-one-{screen}")


def test_back_and_forward_between_studies_show_each(page, server, screen):
    open_patient(page, server, "PAIR", 2)
    _go(page, server, "ALL")
    assert_in_place(page, 8)
    page.go_back()
    assert_in_place(page, 2)
    page.go_forward()
    assert_in_place(page, 8)


def test_images_of_a_study_that_was_left_while_it_loaded_do_not_hang_in_the_next_one(page, server):
    page.goto(f"{server.address}/ohif/")
    page.get_by_text("ONE", exact=True).first.wait_for()
    held = []
    page.route(f"**/studies/{study_of(server, 'ALL')}/series/*/metadata", lambda request: held.append(request))
    _go(page, server, "ALL")
    assert wait_for(page, lambda: held)
    page.go_back()
    page.get_by_text("ONE", exact=True).first.wait_for()
    _go(page, server, "ONE")
    assert_in_place(page, 1)
    for request in held:
        request.continue_()
    page.wait_for_timeout(2000)  # for the images to be hung, if they were
    page.unroute_all()
    assert page.evaluate(_PATIENTS) == ["ONE"]
    assert_in_place(page, 1)


def _go(page, server, patient):
    """As a link of the viewer's own does: no reload."""
    page.evaluate(
        "address => { history.pushState({}, '', address); dispatchEvent(new PopStateEvent('popstate')); }",
        f"/ohif/synthesis?StudyInstanceUIDs={study_of(server, patient)}",
    )


def test_the_list_of_series_says_the_whole_of_what_each_is_called(page, server, screen):
    open_patient(page, server, "ALL", 8)
    if screen == "1280x800":
        page.locator('[data-cy="side-panel-header-left"]').first.click()
    thumbnails = page.locator('[data-cy="study-browser-thumbnail"]')
    thumbnails.first.wait_for()
    screenshot(page, f"opening-series-{screen}")
    cut = "all => all.map(it => it.querySelector('.leading-4')).filter(it => it.scrollHeight > it.clientHeight).length"
    assert thumbnails.evaluate_all(cut) == 0


def test_one_view_with_a_result_opens_as_the_pair_which_says_what_is_synthetic_and_by_which_model(page, server, screen):
    open_patient(page, server, "PAIR", 2)
    assert [name.split(" expected")[0] for name in names(page)] == ["R MLO low energy", "SYNTHETIC contrast R MLO"]
    source, result = labels(page)
    assert source[0] == result[0] == "R MLO"
    assert result[1:] == ["SYNTHETIC, not for diagnosis", "breast_cem_residual 0.5.0", "expected"]
    screenshot(page, f"opening-pair-{screen}")


def test_a_pair_opens_at_the_windows_of_both_headers_and_then_moves_them_in_proportion(page, server):
    opened = [view["window"] for view in shown(page)]
    headers = [_header_window(server, view["uid"]) for view in shown(page)]
    np.testing.assert_allclose(opened, headers, atol=1)
    assert np.ptp(opened[1]) < 0.8 * 65535, "the header's window should be narrow, or this shows little"
    source = views(page)[0]
    source.drag((40, 60), (60, 80), steps=4)
    assert wait_for(page, lambda: not np.allclose(shown(page)[1]["window"], opened[1]), 10)
    moved = [view["window"] for view in shown(page)]
    shares = [(np.array(now) - before[0]) / np.ptp(before) for now, before in zip(moved, opened, strict=True)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.01)


def _header_window(server, series):
    """Lowest and highest value that the header of a series shows."""
    study = next(s for place in ("PAIR",) for s, uid in find_series(server, place).values() if uid == series)
    header = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata").raise_for_status().json()[0]
    center, width = (float(header[tag]["Value"][0]) for tag in ("00281050", "00281051"))
    return [center - width / 2, center + width / 2]


def test_the_outline_of_a_lesion_shows_on_the_paired_image_too(page, screen):
    assert _both(page, _OUTLINED) == [0, 0]
    source = views(page)[0]
    page.mouse.click(*source.at(60, 60))
    page.keyboard.press("f")
    source.drag((50, 50), (70, 50), (70, 75), (50, 75), steps=3)
    page.keyboard.press("f")
    assert wait_for(page, lambda: min(_both(page, _OUTLINED)) > 100, 10), _both(page, _OUTLINED)
    here, there = _both(page, _OUTLINED)
    assert here == pytest.approx(there, rel=0.05)
    screenshot(page, f"opening-outline-{screen}")
    page.keyboard.press("Control+z")
    assert wait_for(page, lambda: _both(page, _OUTLINED) == [0, 0], 10)


def _both(page, script):
    return page.evaluate(script)


def test_an_exam_whose_views_have_results_opens_with_each_beside_its_result(page, server, screen):
    panel = open_patient(page, server, "ALL", 8)
    found = [label[:2] for label in labels(page)]
    assert [view for view, _ in found] == [view for view in FOUR for _ in range(2)]
    assert [kind == "SYNTHETIC, not for diagnosis" for _, kind in found] == [False, True] * 4
    assert panel.get_by_label("Layout").input_value() == "mammosynth.current-synthesized"
    screenshot(page, f"opening-all-{screen}")


def test_uncertainty_hangs_on_request_and_goes_with_its_image(page, server, screen):
    panel = open_named(page, server)
    button = panel.get_by_role("button", name="Uncertainty", exact=True)
    show(page, panel, "R CC", 2)
    assert button.get_attribute("aria-pressed") == "false"
    page.keyboard.press("u")
    assert_in_place(page, 3)
    assert [label[:2] for label in labels(page)][1:] == [
        ["R CC", "SYNTHETIC, not for diagnosis"],
        ["R CC", "SYNTHETIC: uncertainty, not for diagnosis"],
    ]
    assert button.get_attribute("aria-pressed") == "true"
    screenshot(page, f"opening-uncertainty-{screen}")
    show(page, panel, "L CC", 3)
    assert {label[0] for label in labels(page)} == {"L CC"}
    show(page, panel, "R MLO", 2)
    assert {label[0] for label in labels(page)} == {"R MLO"}
    assert button.is_disabled()
    show(page, panel, "R CC", 3)
    button.click()
    assert_in_place(page, 2)
    show(page, panel, "L CC", 2)


def open_named(page, server):
    """Open by an address that names two series as OHIF's own filter: they hang, and of the others nobody complains."""
    named = [
        uid for name, (_, uid) in find_series(server, "ALL").items() if "L CC" in name and "uncertainty" not in name
    ]
    asked = f"&SeriesInstanceUIDs={','.join(named)}&hangingprotocolId=mammosynth.pair"
    panel = open_patient(page, server, "ALL", 2, asked=asked)
    assert {label[0] for label in labels(page)} == {"L CC"}
    assert panel.get_by_role("button", name="Show SYNTHETIC contrast").count() == 6
    return panel


def show(page, panel, view, count):
    panel.get_by_role("button", name=f"Show SYNTHETIC contrast {view}").first.click()
    assert wait_for(page, lambda: names(page)[0] == f"{view} low energy" and not misplaced(page, count)), names(page)
    assert_in_place(page, count)
