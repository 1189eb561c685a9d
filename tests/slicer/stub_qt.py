"""As much of Qt, CTK and Slicer's widgets as the panel uses, in plain Python, for Slicer's core, which has none.

Strict: a method, property, signal or enumerator that is not listed here raises AttributeError, also where a .ui file
names it. Everything listed has the name and the kind that Qt 5, CTK and Slicer's headers give it; properties are
attributes, as PythonQt has them.
"""

import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path


class Object:
    PROPERTIES: tuple = ("name",)
    SIGNALS: tuple = ()

    def __init__(self):
        self._slots = {}
        self._blocked = False
        self._children = []
        self._dynamic = {}
        self.name = ""

    def children(self):
        return list(self._children)

    def property(self, name):
        return getattr(self, name) if name in self.PROPERTIES else self._dynamic.get(name)

    def __setattr__(self, name, value):
        if not name.startswith("_") and name not in self.PROPERTIES:
            raise AttributeError(f"{type(self).__name__} has no property {name}")
        object.__setattr__(self, name, value)

    def connect(self, signal, slot):
        if signal not in self.SIGNALS:
            raise AttributeError(f"{type(self).__name__} has no signal {signal}")
        self._slots.setdefault(signal, []).append(slot)

    def disconnect(self, signal, slot):
        self._slots[signal].remove(slot)

    def blockSignals(self, blocked):  # noqa: N802
        self._blocked = blocked

    def _emit(self, signal, *values):
        for slot in () if self._blocked else tuple(self._slots.get(signal, ())):
            slot(*values)


class QWidget(Object):
    PROPERTIES = (*Object.PROPERTIES, "enabled", "visible", "toolTip", "geometry", "maximumSize")

    def __init__(self, *_):
        super().__init__()
        self.enabled, self.visible, self.toolTip = True, True, ""
        self._layout = None

    def setEnabled(self, on):  # noqa: N802
        self.enabled = on

    def setVisible(self, on):  # noqa: N802
        self.visible = on

    def setToolTip(self, text):  # noqa: N802
        assert isinstance(text, str)
        self.toolTip = text

    def layout(self):
        return self._layout


class Layout(Object):
    PROPERTIES = (*Object.PROPERTIES, "leftMargin", "topMargin", "rightMargin", "bottomMargin")

    def __init__(self, host=None):
        super().__init__()
        self._host = host
        if host is not None:
            host._layout = self
            host._children.append(self)

    def setContentsMargins(self, left, top, right, bottom):  # noqa: N802
        assert all(isinstance(margin, int) for margin in (left, top, right, bottom))

    def _adopt(self, widget):
        assert isinstance(widget, QWidget)
        if self._host is not None:  # what is laid out becomes a child of the layout's widget
            self._host._children.append(widget)


class QVBoxLayout(Layout):
    def __init__(self, host=None):
        super().__init__(host)
        self._items = []

    def addWidget(self, widget):  # noqa: N802
        self._adopt(widget)
        self._items.append(widget)


class QFormLayout(Layout):
    def __init__(self, host=None):
        super().__init__(host)
        self._rows = []

    def addRow(self, *row):  # noqa: N802
        assert len(row) in (1, 2)
        for cell in row:
            if not isinstance(cell, str):
                self._adopt(cell)
        assert isinstance(row[-1], QWidget)
        self._rows.append(row)

    def rowCount(self):  # noqa: N802
        return len(self._rows)

    def removeRow(self, index):  # noqa: N802
        del self._rows[index]


class QLabel(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "text", "textFormat", "wordWrap")

    def __init__(self):
        super().__init__()
        self.text, self.textFormat, self.wordWrap = "", "Qt::AutoText", False

    def setText(self, text):  # noqa: N802
        assert isinstance(text, str)
        self.text = text


class QLineEdit(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "text", "echoMode")
    SIGNALS = ("textChanged(QString)",)

    def __init__(self):
        super().__init__()
        self.text, self.echoMode = "", "QLineEdit::Normal"

    def setText(self, text):  # noqa: N802
        assert isinstance(text, str)
        changed, self.text = text != self.text, text
        if changed:
            self._emit("textChanged(QString)", text)


class QPlainTextEdit(QWidget):
    SIGNALS = ("textChanged()",)

    def __init__(self):
        super().__init__()
        self._text = ""

    def setMaximumHeight(self, pixels):  # noqa: N802
        assert isinstance(pixels, int)

    def setPlainText(self, text):  # noqa: N802
        assert isinstance(text, str)
        self._text = text
        self._emit("textChanged()")

    def toPlainText(self):  # noqa: N802
        return self._text


class QFileDialog:
    chosen = ""  # what a test lets the user choose

    @staticmethod
    def getOpenFileName(parent, title, folder, kinds):  # noqa: N802
        assert isinstance(parent, QWidget)
        return QFileDialog.chosen


class QAbstractButton(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "text", "checked")
    SIGNALS = ("clicked()",)

    def __init__(self, text=""):
        super().__init__()
        self.text, self.checked = text if isinstance(text, str) else "", False

    def click(self):
        if self.enabled:
            self._emit("clicked()")


class QPushButton(QAbstractButton):
    pass


class QCheckBox(QAbstractButton):
    SIGNALS = (*QAbstractButton.SIGNALS, "stateChanged(int)")

    def setChecked(self, on):  # noqa: N802
        assert isinstance(on, bool)
        changed, self.checked = on != self.checked, on
        if changed:
            self._emit("stateChanged(int)", 2 if on else 0)


class CollapsibleButton(QAbstractButton):
    PROPERTIES = (*QAbstractButton.PROPERTIES, "collapsed")


class QComboBox(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "currentIndex", "currentText", "sizeAdjustPolicy", "minimumContentsLength")
    SIGNALS = ("currentIndexChanged(int)",)

    def __init__(self):
        super().__init__()
        self._texts = []
        self.currentIndex, self.currentText = -1, ""

    def addItem(self, text):  # noqa: N802
        assert isinstance(text, str)
        self._texts.append(text)
        if len(self._texts) == 1:
            self.setCurrentIndex(0)

    def clear(self):
        self._texts = []
        self.setCurrentIndex(-1)

    def setCurrentIndex(self, index):  # noqa: N802
        changed = index != self.currentIndex
        self.currentIndex = index
        self.currentText = self._texts[index] if index >= 0 else ""
        if changed:
            self._emit("currentIndexChanged(int)", index)


class QSpinBox(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "value", "minimum", "maximum", "specialValueText")
    SIGNALS = ("valueChanged(int)",)
    KIND = int

    def __init__(self):
        super().__init__()
        self.minimum, self.maximum, self.value, self.specialValueText = 0, 99, 0, ""

    def setSpecialValueText(self, text):  # noqa: N802
        assert isinstance(text, str)
        self.specialValueText = text

    def setMinimum(self, value):  # noqa: N802
        assert isinstance(value, self.KIND)
        self.minimum = value
        self.value = max(self.value, value)

    def setMaximum(self, value):  # noqa: N802
        assert isinstance(value, self.KIND)
        assert self.KIND is not int or value < 2**31
        self.maximum = value
        self.value = min(self.value, value)

    def setValue(self, value):  # noqa: N802
        assert isinstance(value, self.KIND)
        before, self.value = self.value, min(max(value, self.minimum), self.maximum)
        if self.value != before:
            self._emit(self.SIGNALS[0], self.value)


class QDoubleSpinBox(QSpinBox):
    SIGNALS = ("valueChanged(double)",)
    KIND = (int, float)

    def setDecimals(self, count):  # noqa: N802
        pass


class QProgressBar(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "value", "maximum")

    def setRange(self, minimum, maximum):  # noqa: N802
        assert minimum == 0
        self.maximum = maximum

    def setValue(self, value):  # noqa: N802
        assert isinstance(value, int)
        self.value = value


class QTableWidgetItem(Object):
    def __init__(self, text):
        assert isinstance(text, str)
        super().__init__()
        self._text = text

    def text(self):
        return self._text


class QTableWidget(QWidget):
    ATTRIBUTES = ("horizontalHeaderStretchLastSection", "verticalHeaderVisible")  # of its headers, in a .ui file

    def __init__(self):
        super().__init__()
        self._cells, self._rows, self._titles = {}, 0, []

    def setRowCount(self, count):  # noqa: N802
        self._rows = count
        self._cells = {place: cell for place, cell in self._cells.items() if place[0] < count}

    def setItem(self, row, column, item):  # noqa: N802
        assert row < self._rows
        assert column < len(self._titles)
        assert isinstance(item, QTableWidgetItem)
        self._cells[row, column] = item

    def setCellWidget(self, row, column, widget):  # noqa: N802
        assert isinstance(widget, QWidget)
        self._cells[row, column] = widget


class QTimer(Object):
    SIGNALS = ("timeout()",)
    shots: list = []  # of singleShot, for a test to fire

    def setInterval(self, milliseconds):  # noqa: N802
        pass

    def start(self):
        self._active = True

    def stop(self):
        self._active = False

    @staticmethod
    def singleShot(milliseconds, slot):  # noqa: N802
        QTimer.shots.append(slot)


class QSettings(Object):
    _kept: dict = {}

    def value(self, key, default):
        return self._kept.get(key, default)

    def setValue(self, key, value):  # noqa: N802
        self._kept[key] = value


class NodeComboBox(QWidget):
    """libs/MRML/Widgets/qMRMLNodeComboBox.h."""

    PROPERTIES = (
        *QWidget.PROPERTIES,
        *("nodeTypes", "showChildNodeTypes", "noneEnabled", "addEnabled", "removeEnabled", "baseName"),
    )
    SIGNALS = ("currentNodeChanged(vtkMRMLNode*)",)
    observed: list = []  # by all selectors: scenes and tags

    @classmethod
    def leave_scenes(cls):
        """A test's scene goes before its selectors; Slicer's own outlives them."""
        while cls.observed:
            scene, tag = cls.observed.pop()
            scene.RemoveObserver(tag)

    def __init__(self):
        super().__init__()
        self.nodeTypes = []
        self._state = {}

    def setMRMLScene(self, scene):  # noqa: N802
        """Let go of a node that the scene loses; take the first one if there must be one, as the real selector does."""
        assert scene.IsA("vtkMRMLScene")
        assert self.nodeTypes, "node types come before the scene"
        self._state["scene"] = scene
        for event, called in ((scene.NodeRemovedEvent, self._node_removed), (scene.NodeAddedEvent, self._node_added)):
            self.observed.append((scene, scene.AddObserver(event, called)))

    def currentNode(self):  # noqa: N802
        return self._state.get("node")

    def setCurrentNode(self, node):  # noqa: N802
        assert "scene" in self._state, "the scene comes before its nodes"
        assert node is None or any(node.IsA(kind) for kind in self.nodeTypes)
        changed = node is not self.currentNode()
        self._state["node"] = node
        if changed:
            self._emit("currentNodeChanged(vtkMRMLNode*)", node)

    def _node_removed(self, *_):
        node = self.currentNode()
        if node is not None and node.GetScene() is None:
            self.setCurrentNode(None)

    def _node_added(self, *_):
        if self.currentNode() is None and not self.noneEnabled:
            kind = self.nodeTypes[0]
            nodes = [self._state["scene"].GetNthNodeByClass(index, kind) for index in range(1)]
            self.setCurrentNode(next((node for node in nodes if node is not None), None))


class MRMLWidget(QWidget):
    """libs/MRML/Widgets/qMRMLWidget.h."""

    SIGNALS = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def setMRMLScene(self, scene):  # noqa: N802
        self._emit("mrmlSceneChanged(vtkMRMLScene*)", scene)


class SegmentEditorWidget(QWidget):
    """Modules/Loadable/Segmentations/EditorEffects/../Widgets/qMRMLSegmentEditorWidget.h."""

    PROPERTIES = (*QWidget.PROPERTIES, "unorderedEffectsVisible")

    def __init__(self):
        super().__init__()
        self._state = {}

    def mrmlSegmentEditorNode(self):  # noqa: N802
        return self._state.get("node")

    def setMRMLSegmentEditorNode(self, node):  # noqa: N802
        assert node.IsA("vtkMRMLSegmentEditorNode")
        self._state["node"] = node

    def setMRMLScene(self, scene):  # noqa: N802
        assert self._state["node"] is not None, "the node comes before the scene"

    def setMaximumNumberOfUndoStates(self, count):  # noqa: N802
        pass

    def setEffectNameOrder(self, names):  # noqa: N802
        assert all(isinstance(name, str) for name in names)

    def setSegmentationNode(self, node):  # noqa: N802
        self._state["segmentation"] = node

    def setSourceVolumeNode(self, node):  # noqa: N802
        self._state["volume"] = node

    def setActiveEffectByName(self, name):  # noqa: N802
        self._state["effect"] = name

    def setActiveEffect(self, effect):  # noqa: N802
        self._state["effect"] = effect

    def setupViewObservations(self):  # noqa: N802
        self._state["observes"] = True

    def removeViewObservations(self):  # noqa: N802
        self._state["observes"] = False


class QFile:
    ReadOnly = 1

    def __init__(self, path):
        self._path = Path(path)

    def exists(self):
        return self._path.is_file()

    def open(self, mode):
        assert mode == QFile.ReadOnly


class QUiLoader:
    """Reads what Qt Designer writes; what it would build of a class or property that is not listed is an error."""

    def load(self, file):
        root = ElementTree.parse(file._path).getroot()
        assert root.tag == "ui"
        declared = {each.findtext("class") for each in root.iter("customwidget")}
        widgets = {}
        top = _build(root.find("widget"), declared, widgets)
        for link in root.iter("connection"):
            sender, receiver = (widgets[link.findtext(end)] for end in ("sender", "receiver"))
            slot = getattr(receiver, link.findtext("slot").partition("(")[0])
            sender.connect(link.findtext("signal"), slot)
        return top


def _build(element, declared, widgets):
    kind = element.get("class")
    assert kind.startswith("Q") or kind in declared, f"{kind} is no custom widget of the file"
    widget = WIDGETS[kind]()
    widget.name = element.get("name")
    assert widget.name not in widgets, f"two widgets are called {widget.name}"
    widgets[widget.name] = widget
    for given in element.findall("property"):
        _set(widget, given)
    for given in element.findall("attribute"):
        assert given.get("name") in widget.ATTRIBUTES
    if columns := element.findall("column"):
        widget._titles = [column.findtext("property/string") or "" for column in columns]
    layout = element.find("layout")
    if layout is not None:
        _lay_out(layout, widget, declared, widgets)
    return widget


def _lay_out(element, host, declared, widgets):
    layout = {"QVBoxLayout": QVBoxLayout, "QFormLayout": QFormLayout}[element.get("class")](host)
    layout.name = element.get("name")
    for given in element.findall("property"):
        _set(layout, given)
    rows = {}
    for item in element.findall("item"):
        if item.find("spacer") is None:
            cell = _build(item.find("widget"), declared, widgets)
            rows.setdefault(int(item.get("row", len(rows))), []).append((int(item.get("column", 0)), cell))
    for row in sorted(rows):
        cells = [cell for _, cell in sorted(rows[row], key=lambda pair: pair[0])]
        (layout.addRow if isinstance(layout, QFormLayout) else layout.addWidget)(*cells)


def _set(target, given):
    name, value = given.get("name"), given[0]
    if name in target.PROPERTIES:
        setattr(target, name, _READ[value.tag](value))
    elif given.get("stdset") == "0":
        target._dynamic[name] = _READ[value.tag](value)
    else:
        raise AttributeError(f"{type(target).__name__} {target.name} has no property {name}")


_READ = {
    "string": lambda value: value.text or "",
    "bool": lambda value: {"true": True, "false": False}[value.text],
    "number": lambda value: int(value.text),
    "enum": lambda value: value.text,
    "stringlist": lambda value: [each.text for each in value],
    "rect": lambda value: tuple(int(each.text) for each in value),
    "size": lambda value: tuple(int(each.text) for each in value),
}
WIDGETS = {
    kind.__name__: kind
    for kind in (QWidget, QLabel, QLineEdit, QPushButton, QCheckBox, QComboBox, QProgressBar, QTableWidget)
} | {"ctkCollapsibleButton": CollapsibleButton, "qMRMLNodeComboBox": NodeComboBox, "qMRMLWidget": MRMLWidget}


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent

    def setup(self):
        self.layout = QVBoxLayout()

    def resourcePath(self, name):  # noqa: N802
        return str(Path(sys.modules[type(self).__module__].__file__).with_name("Resources") / name)

    def onReload(self):  # noqa: N802
        pass


class ScriptedLoadableModuleLogic:
    """The one node of the module in a scene."""

    def __init__(self):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):  # noqa: N802
        import slicer

        kind = "vtkMRMLScriptedModuleNode"
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, kind)
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass(kind)
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetName(self.moduleName)
            slicer.mrmlScene.AddNode(node)
        node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleTest:
    pass


def install(slicer):
    """Make `import qt`, `import ctk` and Slicer's own classes work beside the real core."""
    from stub_parameter_node import SlicerParameterNamePropertyName, parameterNodeWrapper

    hidden = ("QAbstractButton",)
    modules = {
        "qt": {name: kind for name, kind in globals().items() if name.startswith("Q") and name not in hidden},
        "slicer.ScriptedLoadableModule": {
            kind.__name__: kind
            for kind in (
                *(ScriptedLoadableModule, ScriptedLoadableModuleWidget),
                *(ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest),
            )
        },
        "slicer.parameterNodeWrapper": {
            "parameterNodeWrapper": parameterNodeWrapper,
            "SlicerParameterNamePropertyName": SlicerParameterNamePropertyName,
        },
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
    slicer.qMRMLNodeComboBox, slicer.qMRMLSegmentEditorWidget = NodeComboBox, SegmentEditorWidget
