"""`slicer.parameterNodeWrapper` as its documentation has it, on real parameter nodes: Slicer's core comes without it.

https://slicer.readthedocs.io/en/latest/developer_guide/parameter_nodes. Strict: a type, or a pair of type and widget,
that is not listed here raises, as Slicer's own raises for those that it does not know. Nothing is cached.
"""

import typing
from collections.abc import MutableMapping

import slicer
import vtk

SlicerParameterNamePropertyName = "SlicerParameterName"
_READ = {str: str, int: int, float: float, bool: lambda text: text == "True"}
_SIGNALS = {  # by a widget's class and a parameter's: when it changes, how to read it, how to set it
    ("QCheckBox", bool): ("stateChanged(int)", lambda w: w.checked, lambda w, value: w.setChecked(value)),
    ("QLineEdit", str): ("textChanged(QString)", lambda w: w.text, lambda w, value: w.setText(value)),
}
_RESERVED = ("default", "isCached", "dataType", "getValue", "setValue", "connectGui", "disconnectGui", "Modified")


def parameterNodeWrapper(kind):  # noqa: N802
    """Make a class with annotations one that keeps its attributes in a parameter node."""
    types_ = typing.get_type_hints(kind)
    assert not set(types_) & set(_RESERVED)
    defaults = {name: getattr(kind, name, _default(type_)) for name, type_ in types_.items()}
    for name, type_ in types_.items():
        setattr(kind, name, _property(name, type_))

    def construct(self, node):
        self.parameterNode, self._types, self._connected, self._tags = node, types_, {}, 0
        for name, default in defaults.items():
            if not node.HasParameter(_mark(name, types_[name])):
                setattr(self, name, default)

    kind.__init__ = construct
    kind.connectParametersToGui, kind.disconnectGui = _connect, _disconnect
    return kind


def _connect(self, widgets):
    tag, self._tags = self._tags, self._tags + 1
    self._connected[tag] = []
    for name, widget in widgets.items():
        signal, read, write = _connector(widget, self._types[name])
        write(widget, getattr(self, name))

        def changed(value, name=name, widget=widget, read=read):
            setattr(self, name, read(widget))

        widget.connect(signal, changed)
        self._connected[tag].append((name, widget, signal, changed, write))

    def node_changed(*_):
        for name, widget, _signal, _changed, write in self._connected.get(tag, ()):
            write(widget, getattr(self, name))

    self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, node_changed)
    return tag


def _disconnect(self, tag):
    for _name, widget, signal, changed, _write in self._connected.pop(tag, ()):
        widget.disconnect(signal, changed)


def _connector(widget, type_):
    if type(widget).__name__ == "NodeComboBox" and _is_node(type_):
        return "currentNodeChanged(vtkMRMLNode*)", lambda w: w.currentNode(), lambda w, node: w.setCurrentNode(node)
    return _SIGNALS[type(widget).__name__, type_]


def _property(name, type_):
    return property(
        lambda self: _read(self.parameterNode, name, type_),
        lambda self, value: _write_once(self.parameterNode, name, type_, value),
    )


def _write_once(node, name, type_, value):
    with slicer.util.NodeModify(node):
        _write(node, name, type_, value)


def _is_node(type_):
    return isinstance(type_, type) and issubclass(type_, slicer.vtkMRMLNode)


def _is_dict(type_):
    return typing.get_origin(type_) is dict


def _default(type_):
    if _is_dict(type_):
        return {}
    return None if _is_node(type_) else type_()


def _mark(name, type_):
    """The parameter that is there once the attribute has a value."""
    return f"{name}_len" if _is_dict(type_) else name


def _write(node, name, type_, value):
    if _is_dict(type_):
        for index, pair in enumerate(value.items()):
            for part, (each, of) in enumerate(zip(pair, typing.get_args(type_), strict=True)):
                _write(node, f"{name}_{index}_{part}", of, each)
        node.SetParameter(_mark(name, type_), str(len(value)))
    elif _is_node(type_):
        assert value is None or isinstance(value, type_)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())
    else:
        assert type(value) is type_, f"{name} is {value!r}, expected {type_.__name__}"
        node.SetParameter(name, str(value))


def _read(node, name, type_):
    if _is_dict(type_):
        count = int(node.GetParameter(_mark(name, type_)))
        pairs = (
            [_read(node, f"{name}_{index}_{part}", of) for part, of in enumerate(typing.get_args(type_))]
            for index in range(count)
        )
        return _Kept(node, name, type_, dict(pairs))
    return node.GetNodeReference(name) if _is_node(type_) else _READ[type_](node.GetParameter(name))


class _Kept(MutableMapping):
    """A dictionary that writes itself to the node when it is changed; its `get` takes no default, as Slicer's."""

    def __init__(self, node, name, type_, values):
        self._node, self._name, self._type, self._values = node, name, type_, values

    def __getitem__(self, key):
        return self._values[key]

    def __setitem__(self, key, value):
        self._values[key] = value
        _write_once(self._node, self._name, self._type, self._values)

    def __delitem__(self, key):
        raise NotImplementedError

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def get(self, key):
        return self._values.get(key)
