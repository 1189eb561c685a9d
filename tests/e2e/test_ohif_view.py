"""The other view in the viewer: made in the same study, from CC or MLO, and hung beside what it was made from."""

import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.ohif import names, open_study, options, wait_for
from tests.support.server import find_series, running, stow
from tests.support.viewports import assert_in_place, screenshot, watched_page

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PIXEL_MM = 0.9


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    files = write_exam(tmp_path_factory.mktemp("exam"), seed=5, pixel_mm=PIXEL_MM, patient_id="P1")
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        stow(it, files).raise_for_status()
        yield it


@pytest.mark.parametrize(("given", "to"), [("CC", "MLO"), ("MLO", "CC")])
def test_the_other_view_is_generated_and_hangs_beside_its_source(browser, server, given, to):
    page = watched_page(browser, "1280x800")
    study, _ = find_series(server, "P1")["L CC low energy"]
    panel = open_study(page, server, study)
    panel.locator("#model").select_option("view")
    chosen = f"L {given}"
    assert wait_for(page, lambda: any(option.startswith(chosen) for option in options(panel)))
    panel.locator("#source").select_option(label=next(o for o in options(panel) if o.startswith(chosen)))
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.get_by_text("Done: the result hangs beside its source.").wait_for()
    source, made = names(page)
    assert source.startswith(chosen)
    assert made.startswith(f"SYNTHETIC view L {to}")
    assert_in_place(page, 2)
    screenshot(page, f"view-{given}-beside-{to}".lower())
    stored = find_series(server, "P1")
    assert any(name.startswith(f"SYNTHETIC view L {to}") for name in stored)
    assert page.faults == []
    page.context.close()
