"""What an agent reports of itself: its settings, and sums of what its parts count."""

from collections import Counter
from collections.abc import Mapping

from a9fe.api_client.state_reports import Configurations
from a9fe.plan.parts import Part


class Totals:
    """Sums by key. A part's change costs O(its keys), whatever the number of parts."""

    def __init__(self, settings: Configurations) -> None:
        """`settings` are reported beside the sums."""
        self._settings = settings
        self._counted: dict[Part, Mapping[str, int]] = {}
        self._sums: Counter[str] = Counter()

    def set(self, part: Part, counts: Mapping[str, int]) -> None:
        """Replace what a part counts."""
        self._sums.subtract(self._counted.pop(part, {}))
        self._sums.update(counts)
        if any(counts.values()):
            self._counted[part] = counts

    def configurations(self) -> Configurations:
        """Return the settings and the sums."""
        return {**self._settings, **self._sums}
