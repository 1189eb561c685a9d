"""A computer-generated breast for demos and tests: mammogram-like views with known truth. A simple first version.

It draws display values directly, without x-ray physics or compression of a volume; it shows what a mammogram is made
of (outline, nipple, fibroglandular tissue, pectoral muscle, a mass, calcifications) and nothing about performance on
patients.
"""

from mammosynth.phantom.breast import Breast, generate_breast
from mammosynth.phantom.project import PhantomView, project
from mammosynth.phantom.study import write_study

__all__ = ["Breast", "PhantomView", "generate_breast", "project", "write_study"]
