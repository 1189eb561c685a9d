"""What of an evaluation is recorded: few measures, each between its floor and its ceiling."""

from mammosynth.tasks.contrast.evaluation import RECORDED, _measure
from tests.support.evaluation import made_up


def test_a_measure_stands_between_the_best_floor_and_the_ceiling() -> None:
    report = made_up()
    measures = [_measure(report, "model", metric) for metric in RECORDED]
    psnr = measures[0]
    floors = [report["methods"][name]["metrics"]["psnr"]["value"] for name in report["methods"] if name[0] == "F"]
    assert (psnr.name, psnr.unit) == ("PSNR", "dB")
    assert psnr.value == report["methods"]["model"]["metrics"]["psnr"]["value"]
    assert psnr.floor == max(floors)
    assert psnr.ceiling == report["methods"]["shift 2 px"]["metrics"]["psnr"]["value"]
    assert measures[-1].name == "lesion contrast, generated / real"
