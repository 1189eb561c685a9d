"""Who may start a server or a browser: tests that are marked e2e, so that `make test-fast` starts none."""

_refused_to: list[str] = []


def note_test(name: str, *, marked: bool) -> None:
    """Say which test runs next, and whether it is marked e2e."""
    _refused_to[:] = [] if marked else [name]


def refuse_unless_marked() -> None:
    """Call before a server or a browser is started.

    Raises:
        AssertionError: If the running test is not marked e2e.
    """
    assert not _refused_to, f"{_refused_to[0]} starts a server or a browser: mark it with pytest.mark.e2e"
