"""The memo: bounded, and not emptied by keys that are met once."""

from a9fe.wire.memo import Memo


def memo_of(entries: int = 4) -> Memo[int]:
    return Memo(entries=entries, key_bytes=8)


def test_a_key_is_remembered_when_it_is_met_again():
    memo = memo_of()
    memo.meet(b"a", 1)
    assert memo.get(b"a") is None
    memo.meet(b"a", 1)
    assert memo.get(b"a") == 1


def test_keys_that_are_met_once_push_out_nothing():
    memo = memo_of()
    for _ in range(2):
        memo.meet(b"a", 1)
    for number in range(1000):
        memo.meet(b"%d" % number, number)
    assert memo.get(b"a") == 1


def test_entries_and_bytes_are_bounded():
    memo = memo_of()
    for number in range(1000):
        for _ in range(2):
            memo.meet(b"%d" % number, number)
    assert list(memo.values) == [b"996", b"997", b"998", b"999"]
    for _ in range(2):
        memo.meet(b"9 bytes..", 9)
    assert memo.get(b"9 bytes..") is None
