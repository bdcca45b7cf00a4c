import pytest

from pickery.sharing import gpu_of, usable_cores


@pytest.mark.parametrize(
    ("visible", "count", "dealt"),
    [
        (None, 0, [None, None]),
        (None, 2, ["0", "1", "0"]),
        ("3, 5", 2, ["3", "5", "3"]),
        ("GPU-a,GPU-b", 2, ["GPU-a", "GPU-b"]),
        ("", 0, [None]),
    ],
)
def test_gpus_are_dealt_out_in_turn(visible: str | None, count: int, dealt: list[str | None]) -> None:
    assert [gpu_of(worker, visible, count) for worker in range(len(dealt))] == dealt


def test_there_is_a_core() -> None:
    assert usable_cores() >= 1
