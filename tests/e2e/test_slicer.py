"""The returned NRRD in Slicer's own MRML core, which lives in an environment of its own (`make slicer-venv`)."""

import json
import subprocess
from pathlib import Path

import pytest
from monailabel.client import MONAILabelClient

from tests.support.server import find_series

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PYTHON = Path(__file__).parents[2] / ".venv-slicer" / "bin" / "python"

_LOAD = """
import json, sys, slicer
scene = slicer.vtkMRMLScene()
answer = []
for path in sys.argv[1:]:
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(path)
    scene.AddNode(storage)
    volume = slicer.vtkMRMLScalarVolumeNode()
    scene.AddNode(volume)
    loaded = storage.ReadData(volume)
    array = slicer.util.arrayFromVolume(volume)
    matrix = slicer.vtkMatrix4x4() if hasattr(slicer, "vtkMatrix4x4") else __import__("vtk").vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    answer.append({
        "loaded": bool(loaded), "class": volume.GetClassName(), "dtype": str(array.dtype), "shape": array.shape,
        "spacing": volume.GetSpacing(), "matrix": [matrix.GetElement(i, j) for i in range(4) for j in range(4)],
        "mean": float(array.mean()), "label": bool(volume.IsA("vtkMRMLLabelMapVolumeNode")),
    })
print(json.dumps(answer))
"""


def test_slicer_loads_result_source_and_dicom_as_scalar_volumes_on_each_other(server, exams, tmp_path):
    if not PYTHON.is_file():
        pytest.skip("Slicer's core is not installed: make slicer-venv")
    series = find_series(server, "P001")["L CC low energy"][1]
    client = MONAILabelClient(server.address, tmpdir=str(tmp_path))
    result, _ = client.infer("contrast", series, {})
    source = tmp_path / "source.nrrd"
    source.write_bytes(server.get("/datastore/image", params={"image": series}).content)
    dicom = next(path for path in (exams / "P001").rglob("*.dcm") if _description(path).endswith("L CC low energy"))
    done = subprocess.run(
        [str(PYTHON), "-c", _LOAD, result, str(source), str(dicom)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    volumes = json.loads(done.stdout.strip().splitlines()[-1])
    assert [volume["loaded"] for volume in volumes] == [True] * 3
    assert [volume["class"] for volume in volumes] == ["vtkMRMLScalarVolumeNode"] * 3
    assert volumes[0]["dtype"] == "uint16"
    assert volumes[0]["mean"] > 0
    for other in volumes[1:]:
        assert volumes[0]["shape"] == other["shape"]
        assert volumes[0]["spacing"] == pytest.approx(other["spacing"], abs=1e-5)
        assert volumes[0]["matrix"] == pytest.approx(other["matrix"], abs=1e-4)


def _description(path):
    import pydicom

    return pydicom.dcmread(path, stop_before_pixels=True).SeriesDescription
