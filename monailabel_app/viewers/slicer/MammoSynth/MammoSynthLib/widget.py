"""The panel: choices in, nodes out. What it does is in `logic`; here are only the controls and their order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable

import ctk
import qt
import slicer

from MammoSynthLib import logic
from MammoSynthLib.background import Background, Stopped
from MammoSynthLib.client import Client, ServerError
from MammoSynthLib.controls import Control
from MammoSynthLib.hanging import fit, hang
from MammoSynthLib.masks import CLASSES, lesion_class, load_mask, set_lesion_class
from MammoSynthLib.parameters import DEFAULT_ADDRESS, Parameters, card, mask_parameter, offered
from MammoSynthLib.volumes import VolumeError, load_source, provenance_of, source_of

_POLL_MS = 50
_FIT_AFTER_MS = 300  # until the views have their new size
_SETTING = "MammoSynth/address"
_NOT_STATED = "not stated"
_EFFECTS = ("Paint", "Draw", "Erase", "Scissors", "Islands")


class Widget:
    """The module's controls, in a layout of Slicer."""

    def __init__(self, layout: Any) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mammosynth-"))
        self._work: Background | None = None
        self._then: Callable[[Any], None] = lambda result: None
        self._models: dict[str, Any] = {}
        self._controls: list[Control] = []
        self._studies: list[Any] = []
        self._images: list[Any] = []
        self._editor: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.connect("timeout()", self._poll)
        for build in (self._add_server, self._add_source, self._add_model, self._add_lesions, self._add_generate):
            layout.addWidget(build())
        layout.addStretch(1)
        self._show_work()

    def leave(self) -> None:
        """Let go of the mouse in the views."""
        if self._editor is not None:
            self._editor.setActiveEffect(None)
            self._editor.removeViewObservations()

    def close(self) -> None:
        """Stop what runs and forget the files."""
        self._timer.stop()
        if self._work is not None:
            self._work.cancel()
        self._unobserve()
        shutil.rmtree(self._folder, ignore_errors=True)

    # Sections

    def _add_server(self) -> Any:
        section, form = _section("Server")
        self.address = qt.QLineEdit()
        self.address.setText(qt.QSettings().value(_SETTING, DEFAULT_ADDRESS))
        self.token = qt.QLineEdit()
        self.token.setEchoMode(qt.QLineEdit.Password)
        self.token.setToolTip("Only for a server that was started with one; it is not kept.")
        self.connect_button = _button("Connect", self.connect)
        self.server_name = _label()
        form.addRow("Address", self.address)
        form.addRow("Token", self.token)
        form.addRow(self.connect_button, self.server_name)
        return section

    def _add_source(self) -> Any:
        section, form = _section("Source")
        self.volume = _node_box("vtkMRMLScalarVolumeNode")
        self.volume.setToolTip("Loaded here from Slicer's DICOM database, from a file, or from the server's archive.")
        self.volume.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._source_changed())
        self.open_database = _button("Open DICOM database", lambda: slicer.util.selectModule("DICOM"))
        self.study = qt.QComboBox()
        self.study.connect("currentIndexChanged(int)", lambda index: self._list_images())
        self.image = qt.QComboBox()
        self.load_button = _button("Load from archive", self.load_image)
        form.addRow("Image", self.volume)
        form.addRow(self.open_database)
        form.addRow("Archive: study", self.study)
        form.addRow("Archive: image", self.image)
        form.addRow(self.load_button)
        return section

    def _add_model(self) -> Any:
        section, form = _section("Model")
        self.model = qt.QComboBox()
        self.model.connect("currentIndexChanged(int)", lambda index: self._model_changed())
        self.card = _label()
        self.parameters = qt.QWidget()
        self.advanced = ctk.ctkCollapsibleButton()
        self.advanced.text = "Advanced"
        self.advanced.collapsed = True
        for host in (self.parameters, self.advanced):
            qt.QFormLayout(host)
        form.addRow("Model", self.model)
        form.addRow(self.card)
        form.addRow(self.parameters)
        form.addRow(self.advanced)
        return section

    def _add_lesions(self) -> Any:
        self.lesions, form = _section("Lesions")
        self.segmentation = _node_box("vtkMRMLSegmentationNode", none=True, add=True)
        self.segmentation.baseName = "Lesions"
        self.segmentation.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._segmentation_changed())
        self.paint_button = _button("Paint here", self.paint)
        self.fetch_masks_button = _button("Load lesions from archive", self.load_masks)
        self.classes = qt.QTableWidget(0, 2)
        self.classes.setHorizontalHeaderLabels(["Lesion", "Class"])
        self.editor_place = qt.QWidget()
        qt.QVBoxLayout(self.editor_place)
        form.addRow("Segmentation", self.segmentation)
        form.addRow(self.paint_button, self.fetch_masks_button)
        form.addRow(self.classes)
        form.addRow(self.editor_place)
        self.lesions.setVisible(False)
        return self.lesions

    def _add_generate(self) -> Any:
        section, form = _section("Generate")
        self.store = qt.QCheckBox("Store in the study")
        self.store.setToolTip("The result becomes a series in the archive; a source that is not there yet is sent too.")
        self.generate_button = _button("Generate", self.generate)
        self.cancel_button = _button("Cancel", self.cancel)
        self.progress = qt.QProgressBar()
        self.message = _label()
        self.provenance = qt.QTableWidget(0, 2)
        self.provenance.setHorizontalHeaderLabels(["Provenance", ""])
        self.provenance.horizontalHeader().setStretchLastSection(True)
        form.addRow(self.store)
        form.addRow(self.generate_button, self.cancel_button)
        form.addRow(self.progress)
        form.addRow(self.message)
        form.addRow(self.provenance)
        return section

    # What the buttons do

    def connect(self) -> None:
        """Ask the server for its models and studies."""
        parameters = self._parameters()
        if parameters is None:
            return
        qt.QSettings().setValue(_SETTING, parameters.address)
        client = Client(parameters.address, parameters.token)

        def ask(progress: Any, should_stop: Any) -> tuple[Any, list[Any]]:
            progress(-1, "connecting")
            info = client.info()
            progress(-1, "asking for the studies")
            return info, client.studies()

        self._start(ask, self._connected)

    def load_image(self) -> None:
        """Load the chosen image of the archive."""
        client, index = self._client(), self.image.currentIndex
        if client is None or not 0 <= index < len(self._images):
            return
        image = self._images[index]
        self._start(lambda progress, should_stop: logic.fetch(client, image, self._folder), self._image_came)

    def load_masks(self) -> None:
        """Load the lesions that the archive holds for the chosen image."""
        client, volume = self._client(), self._chosen_volume()
        if client is None or volume is None:
            return
        source = self._in_words(lambda: source_of(volume, _database()))
        if source is not None:
            self._start(
                lambda progress, should_stop: logic.fetch_masks(client, source),
                lambda masks: self._masks_came(masks, volume),
            )

    def paint(self) -> None:
        """Draw lesions with Slicer's own segment editor, inside this panel."""
        volume = self._chosen_volume()
        if volume is None:
            return
        node = self.segmentation.currentNode()
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Lesions")
        if node.GetSegmentation().GetNumberOfSegments() == 0:
            node.CreateDefaultDisplayNodes()
            node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
            node.GetSegmentation().AddEmptySegment("Lesion 1", "Lesion 1")
        self.segmentation.setCurrentNode(node)
        editor = self._segment_editor()
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(volume)
        editor.setActiveEffectByName("Paint")

    def generate(self) -> None:
        """Make the image."""
        parameters, volume = self._parameters(), self._chosen_volume()
        if parameters is None or volume is None:
            return
        if not parameters.model:
            self._say("no model is chosen; connect to a server first")
            return
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        parameter = mask_parameter(self._models[parameters.model]["parameters"])
        order = self._in_words(
            lambda: logic.prepare(
                parameters,
                volume,
                folder,
                database=_database(),
                segmentation=self.segmentation.currentNode(),
                mask_parameter=parameter,
            )
        )
        if order is not None:
            self._start(
                lambda progress, should_stop: logic.generate(order, folder, progress, should_stop),
                lambda made: self._made(made, volume),
            )

    def cancel(self) -> None:
        """Ask what runs to stop."""
        if self._work is not None:
            self._work.cancel()
            self._say("stopping")

    # What comes back

    def _connected(self, answer: tuple[Any, list[Any]]) -> None:
        info, self._studies = answer
        self._models = info["models"]
        self.server_name.setText(f"{info['name']} {info['version']}")
        self._say(f"{len(self._models)} models, {len(self._studies)} studies")
        self.model.clear()
        for name in self._models:
            self.model.addItem(name)
        self.study.blockSignals(True)
        self.study.clear()
        for study in self._studies:
            self.study.addItem(study.label)
        self.study.setCurrentIndex(-1)
        self.study.blockSignals(False)
        self.image.clear()

    def _list_images(self) -> None:
        client, index = self._client(), self.study.currentIndex
        if client is None or not 0 <= index < len(self._studies):
            return
        study = self._studies[index].study_instance_uid
        self._start(lambda progress, should_stop: client.images(study), self._images_came)

    def _images_came(self, images: list[Any]) -> None:
        self._images = images
        self.image.clear()
        for image in images:
            self.image.addItem(image.label)
        self._say(f"{len(images)} images")

    def _image_came(self, answer: tuple[Path, Any]) -> None:
        volume = load_source(slicer.mrmlScene, *answer)
        self.volume.setCurrentNode(volume)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self._say(f"{volume.GetName()}: loaded")

    def _masks_came(self, masks: list[Any], volume: Any) -> None:
        nodes = [load_mask(slicer.mrmlScene, mask, volume) for mask in masks] if volume.GetScene() is not None else []
        if nodes:
            self.segmentation.setCurrentNode(nodes[0])
        self._say(f"{volume.GetName()}: {len(nodes)} segmentations in the archive")

    def _made(self, made: list[Any], volume: Any) -> None:
        if volume.GetScene() is None:
            self._say(f"{volume.GetName()}: was removed meanwhile; its result is not shown")
            return
        nodes = logic.show(slicer.mrmlScene, made, volume)
        application = slicer.app.applicationLogic()
        hang(application, volume, nodes[0])
        qt.QTimer.singleShot(_FIT_AFTER_MS, lambda: fit(application))
        self._show_provenance(nodes[0])
        self._say(f"{nodes[0].GetName()}: done")

    # State of the controls

    def _source_changed(self) -> None:
        volume = self.volume.currentNode()
        if volume is not None:
            self._show_provenance(volume)

    def _model_changed(self) -> None:
        model = self._models.get(self.model.currentText, {})
        described = model.get("parameters", [])
        self.card.setText(card(model))
        self.lesions.setVisible(mask_parameter(described) is not None)
        self._controls = []
        for host, advanced in ((self.parameters, False), (self.advanced, True)):
            form = host.layout()
            while form.rowCount():
                form.removeRow(0)
            for one in offered(described, advanced=advanced):
                if one["type"] != "segmentation":
                    control = Control(one)
                    self._controls.append(control)
                    form.addRow(control.label, control.widget)

    def _segmentation_changed(self) -> None:
        self._unobserve()
        node = self.segmentation.currentNode()
        if node is not None:
            segments = node.GetSegmentation()
            for event in ("SegmentAdded", "SegmentRemoved", "SegmentModified"):
                tag = segments.AddObserver(getattr(slicer.vtkSegmentation, event), lambda *_: self._list_classes())
                self._observed.append((segments, tag))
        self._list_classes()

    def _list_classes(self) -> None:
        node = self.segmentation.currentNode()
        segments = node.GetSegmentation() if node is not None else None
        count = segments.GetNumberOfSegments() if segments is not None else 0
        self.classes.setRowCount(count)
        for row in range(count):
            segment = segments.GetNthSegment(row)
            self.classes.setItem(row, 0, qt.QTableWidgetItem(segment.GetName()))
            self.classes.setCellWidget(row, 1, _class_box(segment))

    def _unobserve(self) -> None:
        for segments, tag in self._observed:
            segments.RemoveObserver(tag)
        self._observed = []

    def _segment_editor(self) -> Any:
        if self._editor is None:
            self._editor = slicer.qMRMLSegmentEditorWidget()
            self._editor.setMaximumNumberOfUndoStates(10)
            self._editor.setEffectNameOrder(list(_EFFECTS))
            self._editor.unorderedEffectsVisible = False
            self.editor_place.layout().addWidget(self._editor)
        if self._editor.mrmlSegmentEditorNode() is None:  # the first time, and after the scene was closed
            self._editor.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNode(slicer.vtkMRMLSegmentEditorNode()))
            self._editor.setMRMLScene(slicer.mrmlScene)
        self._editor.setupViewObservations()
        return self._editor

    def _show_provenance(self, volume: Any) -> None:
        rows = provenance_of(volume)
        self.provenance.setRowCount(len(rows))
        for row, (name, value) in enumerate(rows.items()):
            self.provenance.setItem(row, 0, qt.QTableWidgetItem(name.replace("_", " ")))
            self.provenance.setItem(row, 1, qt.QTableWidgetItem(value))

    def _parameters(self) -> Parameters | None:
        return self._in_words(
            lambda: Parameters(
                address=self.address.text.strip(),
                token=self.token.text.strip(),
                model=self.model.currentText or "",
                values={one.name: value for one in self._controls if (value := one.value()) is not None},
                store_in_study=bool(self.store.checked),
            )
        )

    def _client(self) -> Client | None:
        parameters = self._parameters()
        return Client(parameters.address, parameters.token) if parameters is not None else None

    def _chosen_volume(self) -> Any:
        volume = self.volume.currentNode()
        if volume is None:
            self._say("no image is chosen; load one from the DICOM database or from the archive")
        return volume

    # Work in the background

    def _start(self, function: Callable[..., Any], then: Callable[[Any], None]) -> None:
        if self._work is not None:
            self._say("wait until the running request has ended, or cancel it")
            return
        self._then = then
        self._work = Background(function)
        self._timer.start()
        self._show_work()

    def _poll(self) -> None:
        work = self._work
        if work is None:
            return
        ended = work.poll()
        fraction, message = work.last_progress
        self.progress.setRange(0, 0 if fraction < 0 else 100)
        self.progress.setValue(max(0, round(100 * fraction)))
        if not ended:
            self._say(message)
            return
        self._timer.stop()
        self._work = None
        self._show_work()
        self._in_words(lambda: self._then(work.result()))

    def _show_work(self) -> None:
        running = self._work is not None
        self.cancel_button.setEnabled(running)
        self.progress.setVisible(running)
        for button in (self.connect_button, self.load_button, self.fetch_masks_button, self.generate_button):
            button.setEnabled(not running)

    def _in_words(self, call: Callable[[], Any]) -> Any:
        """What a call returns; None, and a sentence in the panel, where it fails."""
        try:
            return call()
        except Stopped:
            self._say("cancelled")
        except (ServerError, VolumeError, ValueError) as error:
            self._say(str(error))
        return None

    def _say(self, text: str) -> None:
        self.message.setText(text)


def _section(title: str) -> tuple[Any, Any]:
    section = ctk.ctkCollapsibleButton()
    section.text = title
    return section, qt.QFormLayout(section)


def _button(text: str, pressed: Callable[[], None]) -> Any:
    button = qt.QPushButton(text)
    button.connect("clicked()", pressed)
    return button


def _label() -> Any:
    label = qt.QLabel()
    label.setWordWrap(True)
    label.setTextFormat(qt.Qt.PlainText)  # what servers and headers say is shown, never interpreted
    return label


def _node_box(kind: str, *, none: bool = False, add: bool = False) -> Any:
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = [kind]
    box.noneEnabled = none
    box.addEnabled = add
    box.removeEnabled = False
    box.setMRMLScene(slicer.mrmlScene)
    return box


def _class_box(segment: Any) -> Any:
    box = qt.QComboBox()
    for name in (_NOT_STATED, *CLASSES):
        box.addItem(name)
    box.setCurrentIndex(box.findText(lesion_class(segment) or _NOT_STATED))
    box.connect(
        "currentIndexChanged(int)", lambda index: set_lesion_class(segment, CLASSES[index - 1] if index > 0 else None)
    )
    return box


def _database() -> Any:
    return getattr(slicer, "dicomDatabase", None)
