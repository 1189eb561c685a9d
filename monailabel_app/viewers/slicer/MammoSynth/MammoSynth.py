"""The MammoSynth module of 3D Slicer: synthesized mammograms beside their source."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

_PACKAGE = "MammoSynthLib"


class MammoSynth(ScriptedLoadableModule):
    """What the module list shows."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "MammoSynth"
        self.parent.categories = ["Informatics"]
        self.parent.dependencies = ["Segmentations", "Volumes"]
        self.parent.contributors = ["The MammoSynth team"]
        self.parent.helpText = (
            "Asks a MammoSynth server to synthesize a mammogram from another one, and shows both side by side. "
            "Research use only: what is generated was not acquired and is not for diagnosis."
        )
        self.parent.acknowledgementText = ""


class MammoSynthWidget(ScriptedLoadableModuleWidget):
    """The module's panel; the work is in MammoSynthLib."""

    def setup(self) -> None:
        """Build the panel when the module is first opened."""
        from MammoSynthLib.widget import Widget

        ScriptedLoadableModuleWidget.setup(self)
        self.panel = Widget(self.layout)

    def exit(self) -> None:
        """Let go of the mouse when another module is opened."""
        self.panel.leave()

    def cleanup(self) -> None:
        """Stop what runs when the application ends."""
        self.panel.close()

    def onReload(self) -> None:
        """Forget the library, so that a reload in developer mode reads its files again."""
        self.panel.close()
        for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGE]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class MammoSynthTest(ScriptedLoadableModuleTest):
    """The tests of the folder Testing, from the module's own Test button."""

    def runTest(self) -> None:
        """Run them all; those that need a server skip without one."""
        folder = Path(__file__).with_name("Testing")
        sys.path.insert(0, str(folder))
        try:
            suite = unittest.defaultTestLoader.discover(str(folder), pattern="*TestCase.py")
            result = unittest.TextTestRunner(verbosity=2).run(suite)
        finally:
            sys.path.remove(str(folder))
        if not result.wasSuccessful():
            raise AssertionError(f"{len(result.failures) + len(result.errors)} tests failed; see the Python console")
        slicer.util.delayDisplay(f"{result.testsRun} tests, {len(result.skipped)} of them skipped")
