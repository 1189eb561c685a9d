"""Twenty readers at once: some seconds of `benchmarks/reading_room.py`, whose times are not judged here."""

import re
import sys

import pytest

from benchmarks.reading_room import main

pytestmark = pytest.mark.e2e


@pytest.mark.slow
def test_no_answer_of_twenty_readers_who_answer_and_page_at_once_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reading_room.py", "--seconds", "8", "--think", "0.5"])
    main()
    told = capsys.readouterr().out
    found = re.search(r"answers acknowledged, lost +(\d+), (\d+)\n", told)
    assert found, told
    acknowledged, lost = map(int, found.groups())
    assert acknowledged >= 60, "each reader has answered a case"  # 20 readers, 3 questions
    assert lost == 0
    assert re.search(r"requests that failed, sent again 0 \[\]", told), told
