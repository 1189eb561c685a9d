"""The MammoSynth module of 3D Slicer: synthesized mammograms beside their source."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import qt
import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

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


class MammoSynthWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel; the work is in MammoSynthLib."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self) -> None:
        """Build the panel when the module is first opened."""
        from MammoSynthLib.widget import Widget

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = MammoSynthLogic()
        loaded = slicer.util.loadUI(self.resourcePath("UI/MammoSynth.ui"))
        self.layout.addWidget(loaded)
        loaded.setMRMLScene(slicer.mrmlScene)
        self.panel = Widget(slicer.util.childWidgetVariables(loaded))
        scene = slicer.vtkMRMLScene
        for begins, ends in (
            (scene.StartCloseEvent, scene.EndCloseEvent),
            (scene.StartImportEvent, scene.EndImportEvent),
        ):
            self.addObserver(slicer.mrmlScene, begins, self._let_go)
            self.addObserver(slicer.mrmlScene, ends, self._keep_later)
        self._keep()

    def enter(self) -> None:
        """Show the choices of the scene when the module is opened."""
        self._keep()

    def exit(self) -> None:
        """Let go of the mouse when another module is opened."""
        self.panel.leave()

    def cleanup(self) -> None:
        """Stop what runs when the application ends."""
        self.removeObservers()
        self.panel.close()

    def onReload(self) -> None:
        """Forget the library, so that a reload in developer mode reads its files again."""
        self.cleanup()
        for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGE]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def _keep(self) -> None:
        if not self.panel.is_kept and not slicer.mrmlScene.IsBatchProcessing():
            self.panel.keep_in(self.logic.getParameterNode())

    def _let_go(self, caller, event) -> None:
        """While a scene closes or comes, nodes come and go that nobody has chosen."""
        self.panel.keep_in(None)

    def _keep_later(self, caller, event) -> None:
        """Once the selectors, too, know the nodes of the new scene."""
        qt.QTimer.singleShot(0, lambda: self._keep() if self.parent.isEntered else None)


class MammoSynthLogic(ScriptedLoadableModuleLogic):
    """Where the panel's choices are kept."""

    def getParameterNode(self):
        """The choices of the scene, as saved with it."""
        from MammoSynthLib.choices import Choices

        return Choices(ScriptedLoadableModuleLogic.getParameterNode(self))


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
