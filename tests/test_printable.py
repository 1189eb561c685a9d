import pytest

from mammosynth.printable import printable


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("Brüste – 乳房 🩻.png", "Brüste – 乳房 🩻.png"),
        ("a\nb\t\x1b[31m", r"a\nb\t\x1b[31m"),
        ("bad\udcff", r"bad\udcff"),
        ("gnp.\u202ex", r"gnp.\u202ex"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped_and_all_else_is_kept(found: str, shown: str) -> None:
    assert printable(found) == shown
