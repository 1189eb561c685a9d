"""Training runs where only torch, numpy, scipy, monai, pydantic and safetensors are: on a bare GPU machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.templates import write_template

BLOCKED = (
    "pydicom",
    "SimpleITK",
    "radiomics",
    "highdicom",
    "monailabel",
    "fastapi",
    "sqlalchemy",
    "pylibjpeg",
    "jinja2",
)
PROGRAM = """
import sys
for name in sys.argv[3:]:
    sys.modules[name] = None
from pathlib import Path
from mammosynth.task import task_named
from mammosynth.training.template import Template
from mammosynth.training.train import train_model
from tests.support.templates import tiny_pair

template = Template.find(task_named("contrast"), Path(sys.argv[1]))
pairs = [tiny_pair(seed) for seed in range(3)]
print(train_model(pairs[:2], pairs[2:], output=Path(sys.argv[2]), template=template).reason)
"""


@pytest.mark.slow
def test_a_model_is_trained_without_the_libraries_of_dicom_and_the_server(tmp_path: Path) -> None:
    recipe = {"steps": 1, "batch_size": 1, "validate_every": 1, "sample_every": 0}
    template = write_template(tmp_path / "template", **recipe)
    command = [sys.executable, "-c", PROGRAM, str(template), str(tmp_path / "out"), *BLOCKED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all steps are done"
