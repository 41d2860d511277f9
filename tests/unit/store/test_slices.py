"""Pages with an answer to whether more rows follow, over a list in memory."""

import pytest

from a9fe.model.compute import Flavor
from a9fe.model.errors import NotFound
from a9fe.model.pages import Filter, Page
from a9fe.store.lookups import slices
from a9fe.store.lookups.slices import every_row, read_slice

FLAVORS = [Flavor(id=str(n), name=f"flavor {n}") for n in range(2 * slices.SCAN_ROWS + 1)]


class Rows:
    """A list of flavors that is read by pages, as from SQL."""

    def __init__(self) -> None:
        self.limits: list[int] = []

    def __call__(self, page: Page) -> list[Flavor]:
        self.limits.append(page.limit)
        ids = [f.values for f in page.filters if f.field == "id"]
        rows = [flavor for flavor in FLAVORS if all(flavor.id in wanted for wanted in ids)]
        start = int(page.marker) + 1 if page.marker else 0
        return rows[start : start + page.limit]


def test_a_page_reads_one_row_more_than_it_has():
    rows = Rows()
    found = read_slice(rows, "flavor", Page(limit=3), every_row)
    assert [flavor.id for flavor in found.rows] == ["0", "1", "2"]
    assert found.more
    assert rows.limits == [4]


@pytest.mark.parametrize(
    ("marker", "rows", "more"), [(-3, 2, False), (-4, 2, True), (-1, 0, False)]
)
def test_more_is_false_exactly_on_the_last_page(marker: int, rows: int, *, more: bool):
    found = read_slice(Rows(), "flavor", Page(limit=2, marker=FLAVORS[marker].id), every_row)
    assert (len(found.rows), found.more) == (rows, more)


def test_a_condition_outside_sql_reads_on_until_the_page_is_full():
    rows, last = Rows(), FLAVORS[-1]
    found = read_slice(
        rows, "flavor", Page(limit=1), lambda some: [f for f in some if f.id == last.id]
    )
    assert (list(found.rows), found.more) == ([last], False)
    assert rows.limits == [slices.SCAN_ROWS] * 3


def test_a_condition_outside_sql_reads_no_further_than_the_page():
    rows = Rows()
    found = read_slice(rows, "flavor", Page(limit=1), lambda some: some[1::2])
    assert ([flavor.id for flavor in found.rows], found.more) == (["1"], True)
    assert rows.limits == [slices.SCAN_ROWS]


def test_a_marker_must_be_in_the_list():
    pages = [
        Page(limit=1, marker="nope"),
        Page(limit=1, marker="a\0b"),
        Page(limit=1, marker="1", filters=(Filter(field="id", values=("2",)),)),
    ]
    for page in pages:
        with pytest.raises(NotFound):
            read_slice(Rows(), "flavor", page, every_row)
    with pytest.raises(NotFound):
        read_slice(Rows(), "flavor", Page(limit=1, marker="1"), lambda _: [])
