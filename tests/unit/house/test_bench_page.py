"""bench/RESULTS.md: a run replaces its own part only."""

from bench.run import MARK, RESULTS, renewed


def test_a_part_is_renewed_and_the_other_stays():
    page = renewed("", "chain", ["## Chain", "", "| a |"])
    page = renewed(page, "control", ["## Control", "", "old"])
    page = renewed(page, "control", ["## Control", "", "new"])
    assert [page.count(MARK.format(part)) for part in ("chain", "control")] == [1, 1]
    assert "| a |" in page.partition(MARK.format("control"))[0]
    assert page.endswith("## Control\n\nnew\n")


def test_the_page_that_is_kept_has_the_marks():
    page = RESULTS.read_text()
    chain = page.partition(MARK.format("chain"))[2].partition("<!--")[0]
    assert "beside nginx" in chain
    assert renewed(page, "chain", chain.splitlines()) == page
