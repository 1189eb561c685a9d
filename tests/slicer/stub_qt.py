"""As much of Qt, CTK and Slicer's widgets as the panel uses, in plain Python, for Slicer's core, which has none.

Strict: a method, property, signal or enumerator that is not listed here raises AttributeError. Everything listed has
the name and the kind that Qt 5, CTK and Slicer's headers give it; properties are attributes, as PythonQt has them.
"""

import sys
import types


class Object:
    PROPERTIES: tuple = ()
    SIGNALS: tuple = ()

    def __init__(self):
        self._slots = {}
        self._blocked = False

    def __setattr__(self, name, value):
        if not name.startswith("_") and name not in self.PROPERTIES:
            raise AttributeError(f"{type(self).__name__} has no property {name}")
        object.__setattr__(self, name, value)

    def connect(self, signal, slot):
        if signal not in self.SIGNALS:
            raise AttributeError(f"{type(self).__name__} has no signal {signal}")
        self._slots.setdefault(signal, []).append(slot)

    def blockSignals(self, blocked):  # noqa: N802
        self._blocked = blocked

    def _emit(self, signal, *values):
        for slot in () if self._blocked else self._slots.get(signal, ()):
            slot(*values)


class QWidget(Object):
    PROPERTIES = ("enabled", "visible", "toolTip")

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


class QVBoxLayout(Object):
    def __init__(self, host=None):
        super().__init__()
        self._items = []
        if host is not None:
            host._layout = self

    def addWidget(self, widget):  # noqa: N802
        assert isinstance(widget, QWidget)
        self._items.append(widget)

    def addStretch(self, factor):  # noqa: N802
        self._items.append(factor)


class QFormLayout(Object):
    def __init__(self, host):
        super().__init__()
        self._rows = []
        host._layout = self

    def addRow(self, *row):  # noqa: N802
        assert len(row) in (1, 2)
        assert isinstance(row[-1], QWidget)
        self._rows.append(row)

    def rowCount(self):  # noqa: N802
        return len(self._rows)

    def removeRow(self, index):  # noqa: N802
        del self._rows[index]


class QLabel(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "text")

    def __init__(self):
        super().__init__()
        self.text = ""

    def setText(self, text):  # noqa: N802
        assert isinstance(text, str)
        self.text = text

    def setWordWrap(self, on):  # noqa: N802
        pass

    def setTextFormat(self, format_):  # noqa: N802
        assert format_ == Qt.PlainText


class QLineEdit(QLabel):
    Password = 2

    setWordWrap = setTextFormat = None  # noqa: N815 - of labels only

    def setEchoMode(self, mode):  # noqa: N802
        assert mode == QLineEdit.Password


class QAbstractButton(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "text", "checked")
    SIGNALS = ("clicked()",)

    def __init__(self, text=""):
        super().__init__()
        self.text, self.checked = text, False

    def click(self):
        if self.enabled:
            self._emit("clicked()")


class QPushButton(QAbstractButton):
    pass


class QCheckBox(QAbstractButton):
    def setChecked(self, on):  # noqa: N802
        assert isinstance(on, bool)
        self.checked = on


class CollapsibleButton(QAbstractButton):
    PROPERTIES = (*QAbstractButton.PROPERTIES, "collapsed")


class QComboBox(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "currentIndex", "currentText")
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

    def findText(self, text):  # noqa: N802
        return self._texts.index(text) if text in self._texts else -1

    def setCurrentIndex(self, index):  # noqa: N802
        changed = index != self.currentIndex
        self.currentIndex = index
        self.currentText = self._texts[index] if index >= 0 else ""
        if changed:
            self._emit("currentIndexChanged(int)", index)


class QSpinBox(QWidget):
    PROPERTIES = (*QWidget.PROPERTIES, "value", "minimum", "maximum")
    KIND = int

    def __init__(self):
        super().__init__()
        self.minimum, self.maximum, self.value = 0, 99, 0

    def setMinimum(self, value):  # noqa: N802
        assert isinstance(value, self.KIND)
        self.minimum = value
        self.value = max(self.value, value)

    def setMaximum(self, value):  # noqa: N802
        assert isinstance(value, self.KIND)
        assert self.KIND is float or value < 2**31
        self.maximum = value
        self.value = min(self.value, value)

    def setValue(self, value):  # noqa: N802
        assert isinstance(value, self.KIND)
        self.value = min(max(value, self.minimum), self.maximum)


class QDoubleSpinBox(QSpinBox):
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


class QHeaderView(QWidget):
    def setStretchLastSection(self, on):  # noqa: N802
        pass


class QTableWidget(QWidget):
    def __init__(self, rows, columns):
        super().__init__()
        self._cells, self._rows, self._columns = {}, rows, columns

    def horizontalHeader(self):  # noqa: N802
        return QHeaderView()

    def setHorizontalHeaderLabels(self, labels):  # noqa: N802
        assert len(labels) == self._columns

    def setRowCount(self, count):  # noqa: N802
        self._rows = count
        self._cells = {place: cell for place, cell in self._cells.items() if place[0] < count}

    def setItem(self, row, column, item):  # noqa: N802
        assert row < self._rows
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


class Qt:
    PlainText = 0


class NodeComboBox(QWidget):
    """libs/MRML/Widgets/qMRMLNodeComboBox.h."""

    PROPERTIES = (*QWidget.PROPERTIES, "nodeTypes", "noneEnabled", "addEnabled", "removeEnabled", "baseName")
    SIGNALS = ("currentNodeChanged(vtkMRMLNode*)",)

    def __init__(self):
        super().__init__()
        self._node = None

    def setMRMLScene(self, scene):  # noqa: N802
        assert scene.IsA("vtkMRMLScene")

    def currentNode(self):  # noqa: N802
        return self._node

    def setCurrentNode(self, node):  # noqa: N802
        assert node is None or any(node.IsA(kind) for kind in self.nodeTypes)
        self._node = node
        self._emit("currentNodeChanged(vtkMRMLNode*)", node)


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


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent

    def setup(self):
        self.layout = QVBoxLayout()

    def onReload(self):  # noqa: N802
        pass


class ScriptedLoadableModuleTest:
    pass


def install(slicer):
    """Make `import qt`, `import ctk` and Slicer's own classes work beside the real core."""
    modules = {
        "qt": {name: kind for name, kind in globals().items() if name.startswith("Q") and name != "QAbstractButton"},
        "ctk": {"ctkCollapsibleButton": CollapsibleButton},
        "slicer.ScriptedLoadableModule": {
            kind.__name__: kind
            for kind in (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleTest)
        },
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
    slicer.qMRMLNodeComboBox, slicer.qMRMLSegmentEditorWidget = NodeComboBox, SegmentEditorWidget
