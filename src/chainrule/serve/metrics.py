"""Counts of a service, in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

ENDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts of requests by path and status, of rows, and of the seconds that predictions took.

    >>> metrics = Metrics()
    >>> metrics.count("/predict", 200, 0.003)
    >>> [line for line in metrics.text().splitlines() if line.startswith("chainrule_requests_total")]
    ['chainrule_requests_total{path="/predict",status="200"} 1']
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.rows, self.refused = 0, 0
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(ENDS) + 1)
        self._seconds = 0.0

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests[path, status] += 1
        if path == "/predict":
            self._buckets[bisect_left(ENDS, seconds)] += 1
            self._seconds += seconds

    def text(self) -> str:
        """Return all counts."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _about("requests_total", "counter", "Requests answered, by path and status.")
        for (path, status), count in sorted(self._requests.items()):
            yield f'chainrule_requests_total{{path="{path}",status="{status}"}} {count}'
        for name, kind, text, value in (
            ("rows_total", "counter", "Rows predicted.", self.rows),
            ("rows_refused_total", "counter", "Rows of requests that were refused because of a row.", self.refused),
            ("requests_in_flight", "gauge", "Requests being answered.", self.in_flight),
        ):
            yield from _about(name, kind, text)
            yield f"chainrule_{name} {value}"
        yield from _about("predict_seconds", "histogram", "Seconds from a request for predictions to its answer.")
        total = 0
        for end, count in zip((*map(str, ENDS), "+Inf"), self._buckets, strict=True):
            total += count
            yield f'chainrule_predict_seconds_bucket{{le="{end}"}} {total}'
        yield f"chainrule_predict_seconds_sum {self._seconds:.6f}"
        yield f"chainrule_predict_seconds_count {total}"


def _about(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP chainrule_{name} {text}", f"# TYPE chainrule_{name} {kind}"]
