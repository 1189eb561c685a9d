"""What a radiologist, annotator or caller can act upon. Programming mistakes raise Python's own exceptions instead.

Every message says which file or attribute, what was found, what is accepted, and what to do.
"""


class MammoSynthError(Exception):
    """Base of every error whose message is meant for the person who asked."""


class UnsupportedImageError(MammoSynthError):
    """The input is readable but is not an image that can be used (wrong modality, multi-frame, derived, ...)."""


class UnreadableImageError(MammoSynthError):
    """The input cannot be decoded: not an image, truncated, or its codec is missing."""


class MissingAttributeError(MammoSynthError):
    """A needed attribute is absent and the caller must supply it (view position, laterality)."""


class InvalidParameterError(MammoSynthError):
    """A request parameter is unknown or out of range."""


class BundleError(MammoSynthError):
    """A model bundle is missing, incomplete or damaged."""


class DataError(MammoSynthError):
    """A data set folder does not have the expected layout or holds bad files."""


class OutputError(MammoSynthError):
    """A result cannot be written where or how it was asked for."""


class DatabaseError(MammoSynthError):
    """A database cannot be opened."""


class NotFoundError(MammoSynthError):
    """Nothing has the identifier that was asked for."""


class ConflictError(MammoSynthError):
    """The request contradicts the state of what it addresses."""


class PluginError(MammoSynthError):
    """An installed package names a command or a task that cannot be loaded."""


class ProtocolError(MammoSynthError):
    """The protocol of a reader study cannot be used."""
