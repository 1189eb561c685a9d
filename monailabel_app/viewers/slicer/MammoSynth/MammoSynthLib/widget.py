"""The panel: choices in, nodes out. What it does is in `logic`, how it looks in MammoSynth.ui."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable

import qt
import slicer
from slicer.parameterNodeWrapper import SlicerParameterNamePropertyName

from MammoSynthLib import logic
from MammoSynthLib.background import Background, Stopped
from MammoSynthLib.choices import Choices
from MammoSynthLib.client import Client, ServerError
from MammoSynthLib.controls import Control, input_for
from MammoSynthLib.drawing import Drawing
from MammoSynthLib.hanging import fit, hang
from MammoSynthLib.masks import load_mask
from MammoSynthLib.model import IMAGE, JSON, LABEL_MAP, ON_SOURCE, Model, Slot, count_of, names_of
from MammoSynthLib.parameters import DEFAULT_ADDRESS, Parameters
from MammoSynthLib.volumes import VolumeError, is_generated, load_source, provenance_of, source_of

_POLL_MS = 50
_FIT_AFTER_MS = 300  # until the views have their new size
_SETTING = "MammoSynth/address"
_NO_IMAGE = "no image is chosen; load one from the DICOM database or from the archive"


class Widget:
    """What the controls of MammoSynth.ui do."""

    def __init__(self, ui: Any) -> None:
        """Connect them.

        Args:
            ui: The widgets by name, as `slicer.util.childWidgetVariables` gives them.
        """
        self.ui = ui
        self._folder = Path(tempfile.mkdtemp(prefix="mammosynth-"))
        self._work: Background | None = None
        self._then: Callable[[Any], None] = lambda result: None
        self._choices: Choices | None = None
        self._bound: Any = None
        self._models: list[Model] = []
        self._controls: list[Control] = []
        self._inputs: list[Any] = []
        self._studies: list[Any] = []
        self._images: list[Any] = []
        self._drawing = Drawing(ui)
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.connect("timeout()", self._poll)
        ui.address.setText(qt.QSettings().value(_SETTING, DEFAULT_ADDRESS))
        ui.image.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._image_changed())
        ui.study.connect("currentIndexChanged(int)", lambda index: self._list_images())
        ui.model.connect("currentIndexChanged(int)", lambda index: self._model_changed())
        for button, pressed in (
            (ui.connectButton, self.connect),
            (ui.openDatabase, lambda: slicer.util.selectModule("DICOM")),
            (ui.loadButton, self.load_image),
            (ui.paintButton, self.paint),
            (ui.fetchDrawingsButton, self.load_drawings),
            (ui.generateButton, self.generate),
            (ui.cancelButton, self.cancel),
        ):
            button.connect("clicked()", pressed)
        self._show_work()

    @property
    def is_kept(self) -> bool:
        """Whether the choices are those of a scene."""
        return self._choices is not None

    def keep_in(self, choices: Choices | None) -> None:
        """Show the choices of a scene and keep them there from now on; None to let go of them.

        Slicer's own two-way binding serves what is a widget of the .ui file; the others depend on the model.
        """
        if self._choices is not None:
            self._choices.disconnectGui(self._bound)
        self._choices = choices
        if choices is None:
            return
        if choices.image is None:
            choices.image = _first_image()
        # As `connectGui` does, which keeps to itself the tag that `disconnectGui` needs.
        named = [(widget.property(SlicerParameterNamePropertyName), widget) for widget in vars(self.ui).values()]
        self._bound = choices.connectParametersToGui({name: widget for name, widget in named if name})
        self._choose_model()

    def leave(self) -> None:
        """Let go of the mouse in the views."""
        self._drawing.leave()

    def close(self) -> None:
        """Stop what runs and forget the files."""
        self._timer.stop()
        if self._work is not None:
            self._work.cancel()
        self.keep_in(None)
        self._drawing.close()
        shutil.rmtree(self._folder, ignore_errors=True)

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
        client, index = self._client(), self.ui.archiveImage.currentIndex
        if client is None or not 0 <= index < len(self._images):
            return
        image = self._images[index]
        self._start(lambda progress, should_stop: logic.fetch(client, image, self._folder), self._image_came)

    def load_drawings(self) -> None:
        """Load what the archive holds that is drawn on the chosen image."""
        client, volume = self._client(), self._chosen_volume()
        if client is None or volume is None:
            return
        source = self._in_words(lambda: source_of(volume, _database()))
        if source is not None:
            self._start(
                lambda progress, should_stop: logic.fetch_masks(client, source),
                lambda masks: self._drawings_came(masks, volume),
            )

    def paint(self) -> None:
        """Draw on the chosen image."""
        volume = self._chosen_volume()
        if volume is not None:
            self._drawing.paint(volume)

    def generate(self) -> None:
        """Make the image."""
        parameters, model, volume = self._parameters(), self._model(), self.ui.image.currentNode()
        if parameters is None or (_needs_image(model) and self._chosen_volume() is None):
            return
        if model is None:
            self._say("no model is chosen; connect to a server first")
            return
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        inputs = self._chosen_inputs(model)
        order = self._in_words(
            lambda: logic.prepare(parameters, model, inputs, folder, canvas=volume, database=_database())
        )
        if order is not None:
            self._start(
                lambda progress, should_stop: logic.generate(order, folder, progress, should_stop),
                lambda made: self._made(made, model, volume if _needs_image(model) else None),
            )

    def cancel(self) -> None:
        """Ask what runs to stop."""
        if self._work is not None:
            self._work.cancel()
            self._say("stopping")

    # What comes back

    def _connected(self, answer: tuple[Any, list[Any]]) -> None:
        info, self._studies = answer
        ui = self.ui
        self._models = [Model.listed(name, described) for name, described in info["models"].items()]
        ui.serverName.setText(f"{info['name']} {info['version']}")
        self._say(f"{count_of(len(self._models), 'model')}, {count_of(len(self._studies), 'study', 'studies')}")
        _list_in(ui.model, names_of(self._models), chosen=0)
        _list_in(ui.study, [study.label for study in self._studies], chosen=-1)
        ui.archiveImage.clear()
        self._choose_model()

    def _list_images(self) -> None:
        client, index = self._client(), self.ui.study.currentIndex
        if client is None or not 0 <= index < len(self._studies):
            return
        study = self._studies[index].study_instance_uid
        self._start(lambda progress, should_stop: client.images(study), self._images_came)

    def _images_came(self, images: list[Any]) -> None:
        self._images = images
        _list_in(self.ui.archiveImage, [image.label for image in images], chosen=0)
        self._say(count_of(len(images), "image"))

    def _image_came(self, answer: tuple[Path, Any]) -> None:
        volume = load_source(slicer.mrmlScene, *answer)
        self.ui.image.setCurrentNode(volume)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self._say(f"{volume.GetName()}: loaded")

    def _drawings_came(self, masks: list[Any], volume: Any) -> None:
        nodes = [load_mask(slicer.mrmlScene, mask, volume) for mask in masks] if volume.GetScene() is not None else []
        if nodes:
            self.ui.segmentation.setCurrentNode(nodes[0])
        self._say(f"{volume.GetName()}: {count_of(len(nodes), 'segmentation')} in the archive")

    def _made(self, made: list[Any], model: Model, volume: Any) -> None:
        if volume is not None and volume.GetScene() is None:
            self._say(f"{volume.GetName()}: was removed meanwhile; its result is not shown")
            return
        nodes = logic.show(slicer.mrmlScene, made, model, volume)
        if volume is None:
            slicer.util.setSliceViewerLayers(background=nodes[0], fit=True)
        else:
            application = slicer.app.applicationLogic()
            hang(application, volume, nodes[0], linked=model.placement == ON_SOURCE)
            qt.QTimer.singleShot(_FIT_AFTER_MS, lambda: fit(application))
        self._show_provenance(nodes[0])
        self._say("\n".join((f"{nodes[0].GetName()}: done", *made[0].remarks)))

    # State of the controls

    def _choose_model(self) -> None:
        """Choose the model of the scene, or note the one that is chosen."""
        wanted = self._choices.model if self._choices is not None else ""
        names = [model.name for model in self._models]
        if wanted in names:
            self._select(names.index(wanted))
        elif wanted and names:
            self._select(-1)
            self._say(
                f"the scene was made with the model {wanted}, which this server does not offer; choose another one"
            )
        self._model_changed()

    def _select(self, index: int) -> None:
        self.ui.model.blockSignals(True)
        self.ui.model.setCurrentIndex(index)
        self.ui.model.blockSignals(False)

    def _model_changed(self) -> None:
        model, choices, ui = self._model(), self._choices, self.ui
        self._controls, self._inputs = [], []
        for host in (ui.moreInputs, ui.parameters, ui.advanced):
            _empty(host.layout())
        image, drawn = (model.first(kind) if model else None for kind in (IMAGE, LABEL_MAP))
        for widget in (ui.imageLabel, ui.image):
            widget.setVisible(_needs_image(model))
        ui.imageLabel.setText(image.label if image else "Drawn on" if drawn else "Image")
        self._drawing.offer(drawn)
        ui.card.setText(model.card() if model else "")
        if model is None:
            return
        if choices is not None:
            choices.model = model.name
        for slot in model.more():
            control = input_for(slot, self._kept_input(slot), self._keep_inputs)
            self._inputs.append(control)
            ui.moreInputs.layout().addRow(slot.label, control.widget)
        kept = self._kept_values()
        for host, advanced in ((ui.parameters, False), (ui.advanced, True)):
            for name, described in model.offered(advanced=advanced).items():
                control = Control(name, described, kept.get(name), self._keep_values)
                self._controls.append(control)
                host.layout().addRow(control.label, control.widget)
        ui.advanced.setVisible(bool(model.offered(advanced=True)))

    def _kept_values(self) -> dict[str, Any]:
        return dict(json.loads(self._choices.values)) if self._choices is not None else {}

    def _keep_values(self) -> None:
        """Note what differs from the model's defaults; what it does not know stays for models that do."""
        if self._choices is None:
            return
        kept = self._kept_values()
        for control in self._controls:
            kept.pop(control.name, None)
            if control.value() != control.default:
                kept[control.name] = control.value()
        self._choices.values = json.dumps(kept)

    def _kept_input(self, slot: Slot) -> Any:
        choices = self._choices
        if choices is None:
            return None
        kept = {IMAGE: choices.more_images, LABEL_MAP: choices.more_drawings, JSON: choices.texts}[slot.kind]
        return kept.get(slot.role)

    def _keep_inputs(self) -> None:
        choices = self._choices
        if choices is None:
            return
        for control in self._inputs:
            role, kind = control.slot.role, control.slot.kind
            kept = {IMAGE: choices.more_images, LABEL_MAP: choices.more_drawings, JSON: choices.texts}[kind]
            if kept.get(role) != control.value():
                kept[role] = control.value()

    def _chosen_inputs(self, model: Model) -> dict[str, Any]:
        """Nodes and texts by role; None for what is left out."""
        chosen = {control.slot.role: control.value() or None for control in self._inputs}
        image, drawn = model.first(IMAGE), model.first(LABEL_MAP)
        if image is not None:
            chosen[image.role] = self.ui.image.currentNode()
        if drawn is not None:
            chosen[drawn.role] = self._drawing.node()
        return chosen

    def _image_changed(self) -> None:
        volume = self.ui.image.currentNode()
        if volume is not None:
            self._show_provenance(volume)

    def _show_provenance(self, volume: Any) -> None:
        rows, table = provenance_of(volume), self.ui.provenance
        table.setRowCount(len(rows))
        for row, (name, value) in enumerate(rows.items()):
            table.setItem(row, 0, qt.QTableWidgetItem(name.replace("_", " ")))
            table.setItem(row, 1, qt.QTableWidgetItem(_sources(value) if name == "sources" else value))

    def _model(self) -> Model | None:
        index = self.ui.model.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else None

    def _parameters(self) -> Parameters | None:
        return self._in_words(
            lambda: Parameters(
                address=self.ui.address.text.strip(),
                token=self.ui.token.text.strip(),
                values={one.name: value for one in self._controls if (value := one.value()) is not None},
                store_in_study=bool(self.ui.store.checked),
            )
        )

    def _client(self) -> Client | None:
        parameters = self._parameters()
        return Client(parameters.address, parameters.token) if parameters is not None else None

    def _chosen_volume(self) -> Any:
        volume = self.ui.image.currentNode()
        if volume is None:
            self._say(_NO_IMAGE)
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
        self.ui.progress.setRange(0, 0 if fraction < 0 else 100)
        self.ui.progress.setValue(max(0, round(100 * fraction)))
        if not ended:
            self._say(message)
            return
        self._timer.stop()
        self._work = None
        self._show_work()
        self._in_words(lambda: self._then(work.result()))

    def _show_work(self) -> None:
        ui, running = self.ui, self._work is not None
        ui.cancelButton.setEnabled(running)
        ui.progress.setVisible(running)
        for button in (ui.connectButton, ui.loadButton, ui.fetchDrawingsButton, ui.generateButton):
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
        self.ui.message.setText(text)


def _needs_image(model: Model | None) -> bool:
    """Whether an image is to be chosen: as the source, or to draw on."""
    return model is None or model.first(IMAGE) is not None or model.first(LABEL_MAP) is not None


def _list_in(box: Any, names: list[str], *, chosen: int) -> None:
    """Offer other names, without a word to those who wait for a choice."""
    box.blockSignals(True)
    box.clear()
    for name in names:
        box.addItem(name)
    box.setCurrentIndex(chosen if names else -1)
    box.blockSignals(False)


def _empty(form: Any) -> None:
    while form.rowCount():
        form.removeRow(0)


def _first_image() -> Any:
    """An acquired image of the scene; None if there is none."""
    images = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return next((one for one in images if not one.IsA("vtkMRMLLabelMapVolumeNode") and not is_generated(one)), None)


def _sources(text: str) -> str:
    """What an image was made from, as a person reads it."""
    return "; ".join(f"{source['role']}: {source['name']}" for source in json.loads(text))


def _database() -> Any:
    return getattr(slicer, "dicomDatabase", None)
