"""A whole breast drawn in the viewer by the classes of `mask`, on a mammogram or on a result."""

import numpy as np
import pytest

from tests.support.ohif import names, open_study, wait_for, wait_until_drawn
from tests.support.server import study_of
from tests.support.viewports import screenshot, views

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PARTS = ("adipose", "fibroglandular", "skin", "pectoral muscle", "nipple")
CLASSES = (*PARTS, "benign lesion", "malignant lesion", "calcification")
# (H, W) labels of what is drawn on an image, as the page holds them: '' where nothing is.
_DRAWN = """async uid => {
  const { existingDrawing } = await import('/ohif/extensions/lesions.js');
  const { classOf } = await import('/ohif/extensions/classes.js');
  const drawing = existingDrawing(uid);
  const names = new Map(drawing?.lesions.map(each => [each.number, classOf(each)?.name ?? each.label]));
  return drawing ? Array.from(drawing.pixels, value => names.get(value) ?? '') : [];
}"""


@pytest.fixture(scope="module")
def server(exam_server):
    return exam_server


@pytest.fixture(scope="module")
def screen():
    return "1920x1080"


@pytest.fixture
def page(sized_page):
    sized_page.on("dialog", lambda dialog: dialog.accept())
    return sized_page


@pytest.fixture
def panel(page, server):
    """The panel with the task chosen, in a study without segmentations."""
    study = study_of(server, "EXAM")
    for each in _segmentations(server, study):
        server.request("DELETE", f"/studies/{study}/segmentations/{each['sop_instance_uid']}")
    return _open(page, server)


def _segmentations(server, study):
    return server.get(f"/studies/{study}/segmentations").raise_for_status().json()["segmentations"]


def _open(page, server):
    panel = open_study(page, server, study_of(server, "EXAM"))
    panel.locator("#model").select_option("mask")
    panel.locator(".previewed canvas[aria-label]").wait_for()
    return panel


def _begin(panel, view):
    """The breast of an image, drawn on it: (H, W) names of classes."""
    panel.get_by_role("button", name="Begin with the breast of this image").click()
    panel.locator("mammosynth-drawing #status", has_text="Done.").wait_for()
    return _drawn(panel.page, view)


def _drawn(page, view):
    return np.array(page.evaluate(_DRAWN, view.sop_instance_uid)).reshape(view.shape)


def _outline(page, view, left, top, right, bottom):
    page.keyboard.press("f")
    _stroke(view, left, top, right, bottom)
    page.keyboard.press("f")


def _stroke(view, left, top, right, bottom):
    view.drag((left, top), (right, top), (right, bottom), (left, bottom), (left, top), steps=3)


def _new_lesion(panel, kind, view, *box):
    drawing = panel.locator("mammosynth-drawing")
    drawing.get_by_role("button", name="New lesion").click()
    drawing.locator(".lesion select").last.select_option(kind)
    _stroke(view, *box)  # with the outline, which a new lesion puts in the hand
    panel.page.keyboard.press("f")


def _generate(panel, server):
    """Go to the study that is made; its label map as (H, W) names of classes, by the server."""
    panel.get_by_role("button", name="Generate", exact=True).click()
    link = panel.get_by_role("link", name="Open the new study")
    link.wait_for()
    address = link.get_attribute("href")
    study = address.split("StudyInstanceUIDs=")[1].split("&")[0].split(",")[-1]
    made = min(_segmentations(server, study), key=lambda each: each["created"])  # drawings may have come later
    mask = server.get(f"/studies/{study}/segmentations/{made['sop_instance_uid']}/mask").content
    labels = {each["number"]: each["label"] for each in made["segments"]}
    found = np.array([labels.get(value, "") for value in mask]).reshape(made["rows"], made["columns"])
    return address, found


def test_a_lesion_of_the_source_is_moved_and_taken_out_and_the_result_hangs_beside_it(page, panel, server):
    view = views(page)[0]
    _new_lesion(panel, "malignant", view, 66, 52, 76, 62)
    page.get_by_role("button", name="Save to the study").click()
    page.locator("mammosynth-drawing #status", has_text="Saved:").wait_for()
    panel = _open(page, server)
    page.locator("mammosynth-drawing .lesion").wait_for()
    breast = _begin(panel, views(page)[0])
    view = views(page)[0]
    assert {"adipose", "fibroglandular", "skin", "malignant lesion"} <= set(np.unique(breast))
    assert (breast[52:62, 66:76] == "malignant lesion").all()
    screenshot(page, f"breast-begun-{page.size}")

    page.keyboard.press("m")
    view.drag((71, 57), (81, 72), steps=4)
    page.keyboard.press("m")
    moved = _drawn(page, view)
    assert (moved[67:77, 76:86] == "malignant lesion").sum() >= 81  # the mouse is a pixel off at most
    assert not np.isin(moved[52:60, 66:75], ["", "malignant lesion"]).any()
    np.testing.assert_array_equal(moved == "", breast == "")
    screenshot(page, f"breast-moved-{page.size}")
    assert panel.locator("#slot-label_map").input_value() == "drawing"
    address, made = _generate(panel, server)
    np.testing.assert_array_equal(made, moved)

    page.get_by_role("button", name="Delete Lesion 1").first.click()
    without = _drawn(page, view)
    assert "malignant lesion" not in without
    np.testing.assert_array_equal(without == "", breast == "")
    other, made = _generate(panel, server)
    np.testing.assert_array_equal(made, without)
    assert other != address
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(_drawn(page, view), moved)
    assert page.get_by_text("Not saved yet").is_hidden()
    assert panel.locator("#slot-label_map").input_value() not in ("", "drawing")
    again, _ = _generate(panel, server)
    assert again == address
    for name, place in (("moved", address), ("without", other)):
        page.goto(server.address + place)
        wait_until_drawn(page, 2)
        before, after = names(page)
        assert before == "R CC low energy"
        assert after.startswith("SYNTHETIC mask R CC")
        page.get_by_text("even the one that was drawn on, is for the eye alone").wait_for()
        screenshot(page, f"breast-{name}-result-{page.size}")
    page.go_back()
    page.locator("mammosynth-stored #stored li").first.wait_for()
    assert wait_for(page, lambda: page.locator("mammosynth-stored #stored li").count() == 3)


def test_every_class_is_drawn_saved_and_loaded_again(page, panel, server):
    view = views(page)[0]
    drawing = page.locator("mammosynth-drawing")
    breast = _begin(panel, view)
    for index, name in enumerate(PARTS):
        drawing.get_by_label(name.capitalize(), exact=True).check()
        _outline(page, view, 70, 30 + 8 * index, 76, 36 + 8 * index)
    for index, name in enumerate(CLASSES[5:]):
        _new_lesion(panel, name.removesuffix(" lesion"), view, 80, 30 + 8 * index, 86, 36 + 8 * index)
    _new_lesion(panel, "benign", view, 80, 60, 86, 66)  # two of one class
    drawing.locator(".lesion select").first.select_option("calcification")  # and one that becomes another
    drawn = _drawn(page, view)
    for index, name in enumerate(PARTS):
        assert (drawn[31 + 8 * index : 35 + 8 * index, 71:75] == name).all()
    assert [drawn[33 + 8 * index, 83] for index in range(3)] == ["calcification", "malignant lesion", "calcification"]
    assert drawn[63, 83] == "benign lesion"
    screenshot(page, f"breast-classes-{page.size}")

    drawing.get_by_label("Background", exact=True).check()
    page.keyboard.press("b")
    view.drag((95, 20), (95, 30), steps=2)
    page.keyboard.press("b")
    assert (_drawn(page, view)[22:28, 95] == "").all()
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(_drawn(page, view), drawn)

    page.get_by_role("button", name="Save to the study").click()
    drawing.locator("#status", has_text="Saved:").wait_for()
    (saved,) = _segmentations(server, study_of(server, "EXAM"))
    assert [each["is_lesion"] for each in saved["segments"]] == [False] * 5 + [True] * 4
    page.evaluate("sessionStorage.clear()")  # the model that is chosen
    open_study(page, server, study_of(server, "EXAM"))
    page.get_by_text("1 drawing of a whole breast, not listed").wait_for()
    assert not page.get_by_text("None yet. Draw above").is_visible()
    panel = _open(page, server)
    view = views(page)[0]
    page.get_by_role("button", name="Load Label map with").click()
    page.locator("mammosynth-stored #status", has_text="Loaded").wait_for()
    np.testing.assert_array_equal(_drawn(page, view), drawn)
    assert panel.locator("#slot-label_map").input_value() == saved["sop_instance_uid"]
    _, made = _generate(panel, server)
    np.testing.assert_array_equal(made, drawn)
    assert (breast != "").sum() == (made != "").sum()


def test_a_result_of_numbers_is_a_canvas(page, panel, server):
    address, made = _generate(panel, server)
    page.goto(server.address + address)
    wait_until_drawn(page, 1)
    panel = page.locator("mammosynth-panel")
    panel.get_by_text("Load the label map of this image").wait_for()
    panel.get_by_text(
        "Nothing to compare: this image was made from a breast that was drawn or given by numbers"
    ).wait_for()
    screenshot(page, f"breast-result-of-numbers-{page.size}")
    page.get_by_role("button", name="Load Label map without lesions").click()
    page.locator("mammosynth-stored #status", has_text="Loaded").wait_for()
    view = views(page)[0]
    rows, columns = view.shape
    box = np.array([0.2 * columns, 0.45 * rows, 0.3 * columns, 0.5 * rows])
    _new_lesion(panel, "malignant", view, *box)
    assert panel.locator("#slot-label_map").input_value() == "drawing"
    drawn = _drawn(page, view)
    screenshot(page, f"breast-on-result-{page.size}")
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.get_by_role("button", name="Cancel").click()
    panel.get_by_text("Cancelled.").wait_for()
    _, again = _generate(panel, server)
    np.testing.assert_array_equal(again, drawn)
    np.testing.assert_array_equal(again == "", made == "")
    assert (again == "malignant lesion").sum() == pytest.approx(0.1 * columns * 0.05 * rows, rel=0.05)


def test_odd_orders_are_said_or_harmless(page, panel):
    view = views(page)[0]
    drawing = page.locator("mammosynth-drawing")
    error = panel.locator("form > .error")
    _begin(panel, view)
    _new_lesion(panel, "", view, 66, 52, 76, 62)
    panel.get_by_role("button", name="Generate", exact=True).click()
    error.filter(has_text="Lesion 1 has no class").wait_for()
    _new_lesion(panel, "benign", view, 2, 2, 8, 8)  # in the air
    drawing.locator("#notice", has_text="A lesion lies within the breast").wait_for()
    screenshot(page, f"breast-outside-{page.size}")
    drawn = _drawn(page, view)
    drawing.get_by_label("Adipose", exact=True).check()
    page.keyboard.press("e")
    view.drag((60, 40), (62, 44), steps=2)  # no lesion there: the eraser takes nothing
    page.keyboard.press("e")
    np.testing.assert_array_equal(_drawn(page, view), drawn)

    shown = screenshot(page)
    page.keyboard.press("x")
    assert (screenshot(page) != shown).any(axis=-1).sum() > 1000
    page.keyboard.press("b")  # a tool shows it again
    page.keyboard.press("b")
    assert wait_for(page, lambda: page.locator("mammosynth-drawing #hide").get_attribute("aria-pressed") == "false")

    panel.locator("#slot-label_map").select_option("")
    panel.get_by_text("Not used now").wait_for(state="hidden")
    other = views(page)[1]
    page.mouse.click(*other.at(20, 20))
    drawing.locator("#image", has_text=other.name).wait_for()
    assert not (_drawn(page, other) != "").any()
    page.mouse.click(*view.at(60, 40))
    drawing.locator("#image", has_text=view.name).wait_for()
    np.testing.assert_array_equal(_drawn(page, view), drawn)
    assert panel.locator("#slot-label_map").input_value() == ""
    panel.locator("#model").select_option("contrast")
    assert drawing.locator("#breast").is_hidden()
    panel.locator("#model").select_option("mask")
    np.testing.assert_array_equal(_drawn(page, view), drawn)

    drawing.get_by_label("Background", exact=True).check()
    _outline(page, view, 0, 0, view.shape[1], view.shape[0])
    drawing.get_by_label("Skin", exact=True).check()
    _outline(page, view, 60, 50, 66, 56)
    assert panel.locator("#slot-label_map").input_value() == "drawing"
    panel.get_by_role("button", name="Generate", exact=True).click()
    error.filter(has_text="of it is breast").wait_for()
    screenshot(page, f"breast-none-{page.size}")


def test_empty_choices_say_what_they_mean(panel):
    for name in ("density", "view_position"):
        assert panel.locator(f"#parameter-{name} option").first.text_content() == "As the label map shows"
    assert panel.locator("#parameter-image_laterality").count() == 0
    panel.locator("#model").select_option("contrast")
    assert panel.locator("#parameter-view_position option").first.text_content() == "As in the header"
