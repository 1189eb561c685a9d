import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from mammosynth.parallel.threads import one_thread


def _numpy_threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))  # its library is loaded
    return {each["num_threads"] for each in threadpool_info()}


@one_thread()
def _assert_one_thread_and_fail() -> None:
    assert torch.get_num_threads() == 1
    assert _numpy_threads() == {1}
    raise ZeroDivisionError


def test_torch_and_numpy_have_one_thread_within_and_their_own_again_after_an_error():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with threadpool_limits(2):
            assert _numpy_threads() == {2}, "the test can tell"
            with pytest.raises(ZeroDivisionError):
                _assert_one_thread_and_fail()
            assert torch.get_num_threads() == 2
            assert _numpy_threads() == {2}
    finally:
        torch.set_num_threads(before)
