"""The archive as published becomes the folder that training reads; everything odd about it is told."""

import csv
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mammosynth.cli import main
from mammosynth.errors import DataError, OutputError
from mammosynth.preprocessing.cdd_cesm.annotations import read_annotations
from mammosynth.preprocessing.cdd_cesm.import_archive import import_cdd_cesm
from mammosynth.preprocessing.cdd_cesm.names import ImageName, Kind, parse_name
from mammosynth.preprocessing.cdd_cesm.prepare import pad_and_reduce
from mammosynth.preprocessing.cdd_cesm.regions import fill_regions, read_regions
from mammosynth.preprocessing.cdd_cesm.splits import split_of
from mammosynth.preprocessing.pairs import read_cdd_cesm, read_cdd_cesm_views
from tests.support.breasts import half_ellipse
from tests.support.full_disk import full_disk
from tests.support.real_data import CDD_CESM

HEIGHT, WIDTH = 640, 400
LESION = {"name": "circle", "cx": 120, "cy": 320, "r": 40}
TURNED = {"name": "ellipse", "cx": 50, "cy": 60, "rx": 40, "ry": 20, "theta": np.pi / 2}
HEADER = [
    "Image_name",
    "Patient_ID",
    "Side",
    "Type",
    "Age",
    "Breast density (ACR)",
    "BIRADS",
    "Findings",
    "View",
    "Tags",
    "Machine",
    "Pathology Classification/ Follow up",
]


def draw_breast(kind: str, seed: int) -> np.ndarray:
    """(640, 400) uint8; strands are common to both kinds, brightness is not."""
    strands = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)), 4.0)
    strands /= np.abs(strands).max()
    grey = 120 + 80 * strands if kind == "DM" else 90 - 50 * strands
    return (half_ellipse(HEIGHT, WIDTH) * grey).clip(0, 255).astype(np.uint8)


class Archive:
    """Writes an archive like the published one, image by image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.regions: list[tuple[str, dict | str]] = []
        self.labels: list[dict[str, str]] = []

    def add(self, name: str, *, top: int = 0, left: int = 0, regions: tuple[dict | str, ...] = (LESION,)) -> Path:
        """An image of which rows and columns are cut off, with regions in its own pixels."""
        kind = "DM" if "_DM_" in name else "CM"
        folder = self.folder / "CDD-CESM" / ("Low energy images" if kind == "DM" else "Subtracted images")
        folder.mkdir(parents=True, exist_ok=True)
        patient = int(name[1 : name.index("_")])
        pixels = draw_breast(kind, patient)[top:, left:]
        Image.fromarray(pixels).convert("RGB").save(folder / name, quality=95)
        self.regions += [(name, region) for region in regions]
        values = [Path(name).stem, str(patient), "", kind, "50", "C" if kind == "DM" else "_", "5", "", "", "mass", "1"]
        self.labels.append(dict(zip(HEADER, [*values, "Malignant" if patient % 2 else "Benign"], strict=True)))
        return folder / name

    def add_pair(self, view: str, **shift: int) -> None:
        """Both images of `P1_L_{}_CC`-like views; the recombined one is cut by `top` and `left`."""
        self.add(f"{view.format('DM')}.jpg")
        lesion = LESION | {"cy": LESION["cy"] - shift.get("top", 0), "cx": LESION["cx"] - shift.get("left", 0)}
        self.add(f"{view.format('CM')}.jpg", regions=(lesion,), **shift)

    def write(self) -> Path:
        """The tables; then the folder is complete."""
        with (self.folder / "Radiology_hand_drawn_segmentations_v2.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["#filename", "file_size", "file_attributes", "region_count", "region_id"] + SHAPE)
            for name, region in self.regions:
                text = region if isinstance(region, str) else json.dumps(region)
                writer.writerow([name, 1, "{}", 1, 0, text, "{}"])
        with (self.folder / "Radiology-manual-annotations.csv").open("w", newline="") as stream:
            rows = csv.DictWriter(stream, fieldnames=HEADER)
            rows.writeheader()
            rows.writerows(self.labels)
        return self.folder


SHAPE = ["region_shape_attributes", "region_attributes"]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    (tmp_path / "archive").mkdir()
    return Archive(tmp_path / "archive")


def read_rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("P12_L_DM_CC.jpg", "P12_L_DM_CC"),
        ("P3_L_CM_CC .jpg", "P3_L_CM_CC"),
        ("p7_r_cesm_mlo.JPG", "P7_R_CM_MLO"),
        ("P281_L_DM_MLO2", "P281_L_DM_MLO_2"),
        ("P99_L_CM_MLO_2.jpg", "P99_L_CM_MLO_2"),
    ],
)
def test_names_are_understood_however_they_are_spelt(text: str, stem: str) -> None:
    name = parse_name(text)
    assert name is not None
    assert name.stem == stem


@pytest.mark.parametrize("text", ["P12_L_DM.jpg", "cover.jpg", "P1_X_DM_CC.jpg", "P1_L_DM_CC.extra.jpg"])
def test_other_names_stand_for_no_image(text: str) -> None:
    assert parse_name(text) is None


def test_the_partner_is_the_other_image_of_the_same_exposure() -> None:
    name = ImageName(5, "R", "MLO", 2, Kind.LOW_ENERGY)
    assert name.partner.stem == "P5_R_CM_MLO_2"
    assert name.partner.partner == name


@pytest.mark.parametrize(
    ("region", "area", "inside", "outside"),
    [
        ({"name": "rect", "x": 10, "y": 20, "width": 30, "height": 50}, 31 * 51, (70, 40), (71, 40)),
        ({"name": "circle", "cx": 50, "cy": 60, "r": 30}, np.pi * 30**2, (60, 79), (60, 83)),
        ({"name": "ellipse", "cx": 50, "cy": 60, "rx": 40, "ry": 20}, np.pi * 800, (60, 88), (82, 50)),
        (TURNED, np.pi * 800, (98, 50), (60, 73)),
        ({"name": "point", "cx": 50, "cy": 60}, np.pi * 10**2, (60, 59), (60, 62)),
        ({"name": "polygon", "all_points_x": [10, 90, 10], "all_points_y": [10, 10, 90]}, 3200, (20, 20), (80, 80)),
        ({"name": "polyline", "all_points_x": [10, 90, 10], "all_points_y": [10, 10, 90]}, 3200, (20, 20), (80, 80)),
    ],
)  # fmt: skip
def test_every_shape_is_filled(region: dict, area: float, inside: tuple[int, int], outside: tuple[int, int]) -> None:
    mask = fill_regions([region], (120, 110))
    # A drawn outline covers its own pixels: half a pixel more all round.
    assert mask.sum() == pytest.approx(area, rel=0.12)
    assert mask[inside]
    assert not mask[outside]


def test_several_regions_are_united_and_cut_at_the_image() -> None:
    left = {"name": "rect", "x": -5, "y": 0, "width": 9, "height": 200}
    right = {"name": "rect", "x": 40, "y": 10, "width": 4, "height": 4}
    mask = fill_regions([left, right, right], (100, 50))
    assert mask.sum() == 5 * 100 + 5 * 5


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"name": "spline"}, "region is 'spline', expected one of polygon"),
        ({"name": "circle", "cx": 1, "cy": 2}, "circle lacks or garbles 'r'"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "has 2 corners"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "polygon lacks or garbles"),
    ],
)
def test_a_region_that_cannot_be_drawn_is_refused(region: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fill_regions([region], (10, 10))


def test_images_are_padded_in_the_middle_and_reduced_without_aliasing() -> None:
    stripes = np.zeros((1024, 512), np.uint8)
    stripes[::2] = 200  # finer than the reduced image can show: what is left is their mean
    pixels, box = pad_and_reduce(Image.fromarray(stripes))
    assert pixels.shape == (512, 512)
    assert box == (0, 128, 512, 384)
    assert not pixels[:, :127].any()
    assert not pixels[:, 385:].any()
    np.testing.assert_allclose(pixels[2:-2, 130:382], 100, atol=2)


@pytest.mark.slow
def test_an_archive_becomes_pairs_that_are_read_and_lie_on_each_other(archive: Archive, tmp_path: Path) -> None:
    for view in ("P7_L_{}_CC", "P7_L_{}_MLO"):
        archive.add_pair(view, top=30)
    report = import_cdd_cesm(archive.write(), tmp_path / "out")
    pairs = read_cdd_cesm(tmp_path / "out", "train")  # patient 7 is one of the fixed split
    assert report.pairs == {"train": 2}
    assert report.refused == report.odd == []
    for pair in pairs:
        assert pair.lesion is not None
        assert pair.low_energy_lesion is not None
        both = (pair.lesion & pair.low_energy_lesion).sum()
        assert 2 * both / (pair.lesion.sum() + pair.low_energy_lesion.sum()) > 0.95
        # pi 40² pixels of the original at 512 / 640 of its size
        assert pair.low_energy_lesion.sum() == pytest.approx(np.pi * (40 * 512 / 640) ** 2, rel=0.05)


@pytest.mark.slow
def test_the_known_crop_is_found_as_scale_and_shift(archive: Archive, tmp_path: Path) -> None:
    archive.add_pair("P7_L_{}_CC", top=30, left=10)
    import_cdd_cesm(archive.write(), tmp_path / "out")
    (row,) = read_rows(tmp_path / "out" / "pairs.csv")
    # Both are scaled by 512 over their height and padded to the middle; a pixel of the recombined original lies 30
    # rows and 10 columns further on in the low-energy original.
    scale = 610 / 640
    dy = 30 * 512 / 640
    dx = ((640 - 400) / 2 + 10) * 512 / 640 - (610 - 390) / 2 * 512 / 640
    middle = 256 * (float(row["scale"]) - scale)
    assert float(row["scale"]) == pytest.approx(scale, abs=0.004)
    assert float(row["dy"]) + middle == pytest.approx(dy, abs=1)
    assert float(row["dx"]) + middle == pytest.approx(dx, abs=1)
    assert float(row["ncc_reg"]) > float(row["ncc_raw"])


@pytest.mark.slow
def test_the_tables_hold_what_the_annotations_say(archive: Archive, tmp_path: Path) -> None:
    for view in ("P7_L_{}_CC", "P7_L_{}_MLO"):
        archive.add_pair(view)
    import_cdd_cesm(archive.write(), tmp_path / "out")
    row = read_rows(tmp_path / "out" / "pairs.csv")[0]
    known = {"split": "train", "patient": "P7", "side": "L", "view": "CC", "density": "C", "age": "50"}
    assert {name: row[name] for name in known} == known
    assert row["pathology"] == "Malignant"
    assert read_rows(tmp_path / "out" / "breasts_cc_mlo.csv") == [
        {
            "split": "train", "patient": "P7", "side": "L", "density": "C",
            "cc_low_energy": "P7_L_DM_CC.png", "cc_recombined": "P7_L_CM_CC.png",
            "mlo_low_energy": "P7_L_DM_MLO.png", "mlo_recombined": "P7_L_CM_MLO.png",
        }
    ]  # fmt: skip
    (views,) = read_cdd_cesm_views(tmp_path / "out", "train")
    assert views.patient_id == "P7"
    assert "10.7937/29kw-ae92" in (tmp_path / "out" / "dataset_citation.txt").read_text()


@pytest.mark.slow
def test_everything_refused_is_told_at_once_and_the_rest_is_imported(archive: Archive, tmp_path: Path) -> None:
    archive.add_pair("P7_L_{}_CC")
    archive.add_pair("P11_L_{}_CC")
    archive.add("P12_R_DM_CC.jpg")
    archive.add("P13_R_DM_CC.jpg", regions=({"name": "spline"},))
    archive.add("P13_R_CM_CC.jpg").write_bytes(b"no image")
    path = archive.add("P11_L_DM_CC.jpg")
    path.write_bytes(path.read_bytes()[:2000])
    archive.add_pair("P14_R_{}_CC")
    shutil.copy(
        archive.folder / "CDD-CESM" / "Low energy images" / "P7_L_DM_CC.jpg", archive.folder / "P14_R_DM_CC.jpg"
    )
    report = import_cdd_cesm(archive.write(), tmp_path / "out")
    told = "\n".join(report.refused)
    assert report.pairs == {"train": 1}
    for words in (
        "P12_R_DM_CC.jpg: its partner P12_R_CM_CC is missing",
        "P13_R_DM_CC: region is 'spline'",
        "P13_R_CM_CC.jpg: cannot be read",
        "P11_L_DM_CC.jpg: cannot be read",
        "P14_R_DM_CC: files that differ claim to be this image",
    ):
        assert words in told
    assert sorted(path.name for path in (tmp_path / "out" / "512" / "masks").iterdir()) == [
        "P7_L_CM_CC.png", "P7_L_DM_CC.png"
    ]  # fmt: skip
    assert json.loads((tmp_path / "out" / "import.json").read_text())["refused"] == report.refused


@pytest.mark.slow
def test_oddities_are_used_and_told(archive: Archive, tmp_path: Path) -> None:
    archive.add_pair("P7_L_{}_MLO")
    for kind in ("DM", "CM"):
        archive.add(f"P7_L_{kind}_MLO_2 .jpg", regions=())
    copy = archive.folder / "copy"
    copy.mkdir()
    shutil.copy(archive.folder / "CDD-CESM" / "Low energy images" / "P7_L_DM_MLO.jpg", copy)
    Image.new("L", (300, 300)).save(archive.folder / "cover.jpg")
    archive.regions += [("P8_L_DM_CC.jpg", LESION), ("P9_L_DM_CC.jpg", "{}"), ("nothing.jpg", LESION)]
    report = import_cdd_cesm(archive.write(), tmp_path / "out")
    told = "\n".join(report.odd)
    assert report.pairs == {"train": 2}
    for words in ("is there more than once", "second image of its view", "cover.jpg: is not named", "names no image"):
        assert words in told
    assert report.without_image == ["P8_L_DM_CC"]
    assert report.without_regions == ["P7_L_CM_MLO_2", "P7_L_DM_MLO_2"]


@pytest.mark.slow
def test_images_that_are_no_mammograms_are_refused_and_the_others_imported(archive: Archive, tmp_path: Path) -> None:
    archive.add_pair("P7_L_{}_CC")
    messages = {
        "P11": (Image.new("RGB", (400, 640), (200, 20, 20)), "coloured"),
        "P12": (Image.new("L", (400, 640), 7), "every pixel is 7"),
        "P13": (Image.new("L", (100, 640), 7), "640 x 100, expected at least 256"),
        "P14": (Image.new("I;16", (400, 640)), "mode is I;16"),
    }
    for patient, (image, _) in messages.items():
        image.save(archive.folder / "CDD-CESM" / f"{patient}_R_DM_CC.png")
        archive.add(f"{patient}_R_CM_CC.jpg")
    report = import_cdd_cesm(archive.write(), tmp_path / "out")
    for patient, (_, message) in messages.items():
        assert any(patient in line and message in line for line in report.refused), (message, report.refused)
    assert report.pairs == {"train": 1}


def test_patients_of_the_fixed_split_keep_theirs_whatever_the_seed() -> None:
    known = {"P7": "train", "P106": "val"}
    for seed in (None, 0, 1):
        assert {patient: split_of(patient, seed) for patient in known} == known


def test_other_patients_are_kept_apart_unless_a_seed_spreads_them() -> None:
    patients = [f"P{number}" for number in range(1000, 3000)]
    assert {split_of(patient, None) for patient in patients} == {"other"}
    first, second = ([split_of(patient, seed) for patient in patients] for seed in (1, 2))
    assert first == [split_of(patient, 1) for patient in patients] != second
    for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert first.count(name) / 2000 == pytest.approx(share, abs=0.03)  # three standard deviations at most


@pytest.mark.slow
def test_the_same_archive_gives_the_same_bytes_with_any_number_of_workers(archive: Archive, tmp_path: Path) -> None:
    for view in ("P7_L_{}_CC", "P11_L_{}_CC"):
        archive.add_pair(view, top=8)
    source = archive.write()
    for name, workers in (("one", 1), ("two", 2)):
        import_cdd_cesm(source, tmp_path / name, workers=workers)
    contents = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4 * 2 + 4


@pytest.mark.slow
def test_only_the_wanted_pathology_is_imported(archive: Archive, tmp_path: Path) -> None:
    for view in ("P7_L_{}_CC", "P1002_L_{}_CC"):
        archive.add_pair(view)
    source = archive.write()
    assert import_cdd_cesm(source, tmp_path / "out", pathologies=["malignant"]).pairs == {"train": 1}
    with pytest.raises(DataError, match="pathology odd is not in the annotations, found benign, malignant"):
        import_cdd_cesm(source, tmp_path / "none", pathologies=["odd"])


def test_nothing_is_written_where_something_is_or_from_what_is_no_archive(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Radiology_hand_drawn_segmentations_v2\.csv is missing"):
        import_cdd_cesm(archive.folder, tmp_path / "out")
    archive.add("P7_L_DM_CC.jpg").write_bytes(b"no image")
    archive.add("P7_L_CM_CC.jpg")
    with pytest.raises(DataError, match=r"no pair can be used:\n.*P7_L_DM_CC\.jpg: cannot be read"):
        import_cdd_cesm(archive.write(), tmp_path / "out")
    with pytest.raises(OutputError, match="holds something already"):
        import_cdd_cesm(archive.folder, archive.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_and_is_told(archive: Archive, tmp_path: Path) -> None:
    archive.add("P7_L_DM_CC.jpg")
    archive.add("P7_L_CM_CC.jpg")
    source = archive.write()
    with full_disk(600), pytest.raises(OutputError, match=r"^out: cannot be written \(File too large\); .*free space"):
        import_cdd_cesm(source, tmp_path / "out", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    import_cdd_cesm(source, tmp_path / "out", workers=1)


@pytest.mark.slow
def test_a_pair_that_does_not_match_is_left_unregistered_and_told(archive: Archive, tmp_path: Path) -> None:
    archive.add("P7_L_DM_CC.jpg")
    path = archive.add("P7_L_CM_CC.jpg")
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    Image.fromarray(noise).save(path)
    report = import_cdd_cesm(archive.write(), tmp_path / "out")
    (row,) = read_rows(tmp_path / "out" / "pairs.csv")
    assert (row["scale"], row["dy"], row["dx"]) == ("1.0", "0.0", "0.0")
    assert "P7_L_DM_CC: not registered: gradients correlate by" in report.odd[0]


def test_the_workbook_says_what_the_csv_says(archive: Archive) -> None:
    archive.add("P3_L_DM_CC .jpg", regions=())
    archive.labels[0]["Tags"] = ""  # an empty cell, which a workbook leaves out
    table = archive.write() / "Radiology-manual-annotations.csv"
    workbook = archive.folder / "Radiology-manual-annotations.xlsx"
    write_workbook(workbook, [HEADER, list(archive.labels[0].values())])
    assert read_annotations(workbook) == read_annotations(table)


def test_a_broken_workbook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"no workbook")
    with pytest.raises(DataError, match=r"a\.xlsx: not a readable workbook .* save that sheet as CSV"):
        read_annotations(tmp_path / "a.xlsx")


def write_workbook(path: Path, rows: list[list[str]]) -> None:
    """The second of two sheets, `all`, as spreadsheet programs write it (ECMA-376): shared strings, numbers, gaps."""
    main_ns = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    strings: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for column, value in enumerate(row):
            place = f'r="{chr(ord("A") + column)}{number}"'
            if value.isdigit():
                cells.append(f"<c {place}><v>{value}</v></c>")
            elif value:
                cells.append(f'<c {place} t="s"><v>{len(strings)}</v></c>')
                strings.append(value)
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    parts = {
        "xl/workbook.xml": f'<workbook {main_ns} {relations}><sheets><sheet name="mass" sheetId="1" r:id="rId1"/>'
        '<sheet name="all" sheetId="2" r:id="rId2"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": "<Relationships>"
        '<Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="rId2" Target="worksheets/sheet2.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f"<worksheet {main_ns}><sheetData/></worksheet>",
        "xl/worksheets/sheet2.xml": f"<worksheet {main_ns}><sheetData>{''.join(lines)}</sheetData></worksheet>",
        "xl/sharedStrings.xml": f"<sst {main_ns}>{''.join(f'<si><t>{s}</t></si>' for s in strings)}</sst>",
    }
    with zipfile.ZipFile(path, "w") as workbook:
        for name, text in parts.items():
            workbook.writestr(name, text)


@pytest.mark.slow
def test_the_command_imports_and_says_what_it_did(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.add_pair("P7_L_{}_CC")
    assert main(["import-cdd-cesm", str(archive.write()), "--output", str(tmp_path / "out")]) == 0
    assert "1 pair (1 train), 0 breasts with both views" in capsys.readouterr().out
    archive.add("P11_L_DM_CC.jpg")
    assert main(["import-cdd-cesm", str(archive.write()), "--output", str(tmp_path / "again")]) == 1
    assert "its partner P11_L_CM_CC is missing" in capsys.readouterr().err


needs_originals = pytest.mark.skipif(
    not (CDD_CESM / "full" / "cc_index.csv").is_file(), reason="needs CDD-CESM: set MAMMOSYNTH_CDD_CESM"
)


@pytest.mark.slow
@needs_originals
def test_real_originals_become_the_images_and_masks_that_another_publisher_made_of_them() -> None:
    regions, _ = read_regions(CDD_CESM / "Radiology_hand_drawn_segmentations_v2.csv")
    differences, dice = [], []
    for row in read_rows(CDD_CESM / "full" / "cc_index.csv"):
        reference = CDD_CESM / "512" / "images" / row["cdd_cesm_name"]
        name = parse_name(row["cdd_cesm_name"])
        if name is None or not reference.is_file():
            continue
        with Image.open(CDD_CESM / "full" / "cc_low_energy" / row["file"]) as original, Image.open(reference) as known:
            pixels, _ = pad_and_reduce(original.convert("L"))
            differences.append(np.abs(pixels.astype(float) - np.asarray(known.convert("L"))).mean())
            mask = fill_regions(regions[name], (original.height, original.width))
        if {region["name"] for region in regions[name]} <= {"polygon", "circle"}:  # the others they left out
            reduced, _ = pad_and_reduce(Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))))
            with Image.open(CDD_CESM / "512" / "masks" / f"{name.stem}.png") as known:
                other = np.asarray(known.convert("L")) > 127
            dice.append(2 * ((reduced > 127) & other).sum() / ((reduced > 127).sum() + other.sum()))
    assert len(differences) == 36
    assert max(differences) < 2  # grey values of 255: JPEG's loss
    assert len(dice) == 31
    assert min(dice) > 0.99


@pytest.mark.slow
@needs_originals
def test_real_full_resolution_pairs_are_imported(tmp_path: Path) -> None:
    source = tmp_path / "archive"
    shutil.copytree(CDD_CESM / "full" / "mlo_pairs", source)
    source.chmod(0o755)
    for name in ("Radiology_hand_drawn_segmentations_v2.csv", "Radiology-manual-annotations.csv"):
        shutil.copy(CDD_CESM / name, source)
    report = import_cdd_cesm(source, tmp_path / "out")
    rows = read_rows(tmp_path / "out" / "pairs.csv")
    assert report.pairs == {"other": 2}
    assert report.refused == report.odd == report.without_regions == []
    assert [row["pathology"] for row in rows] == ["Benign", "Benign"]
    for row in rows:
        assert float(row["mask_dice"]) > 0.7
        assert float(row["scale"]) == pytest.approx(1, abs=0.01)
        assert abs(float(row["dy"])) + abs(float(row["dx"])) < 5
