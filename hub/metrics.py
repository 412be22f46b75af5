"""The metrics of this process, for Prometheus, in a registry of their own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

FRESH = 1.0
"""Seconds for which rendered metrics are reused."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
AGES = (0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)
"""Buckets of histograms, in seconds: for what takes milliseconds, and for what takes longer."""


class Counter(Collector):
    """A counter, for each combination of the values of its labels.

    The library's counter and histogram are thread-safe and take four times as long, and a logout
    counts twenty times.
    """

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self.name, self._text, self.labels = name, text, labels
        self._counts: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def inc(self, *values: str, by: float = 1) -> None:
        """Add ``by`` for these label values, in the order of the labels."""
        self._counts[values] = self._counts.get(values, 0) + by

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return what was counted, for the library."""
        family = CounterMetricFamily(self.name, self._text, labels=self.labels)
        for values, count in self._counts.items():
            family.add_metric(values, count)
        yield family


class Histogram(Collector):
    """A histogram, for each combination of the values of its labels."""

    def __init__(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> None:
        self.name, self._text, self.labels, self._buckets = name, text, labels, buckets
        self._bounds = [*map(floatToGoString, buckets), "+Inf"]
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        if not labels:
            self._begin(())

    def _begin(self, values: tuple[str, ...]) -> list[int]:
        self._sums[values] = 0.0
        counts = self._counts[values] = [0] * len(self._bounds)
        return counts

    def observe(self, amount: float, *values: str) -> None:
        """Add an observation for these label values, in the order of the labels."""
        counts = self._counts.get(values) or self._begin(values)
        counts[bisect_left(self._buckets, amount)] += 1
        self._sums[values] += amount

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return what was counted, for the library."""
        family = HistogramMetricFamily(self.name, self._text, labels=self.labels)
        for values, counts in self._counts.items():
            buckets = list(zip(self._bounds, accumulate(counts), strict=True))
            family.add_metric(values, buckets, self._sums[values])
        yield family


class Metrics:
    """All metrics; label values come from fixed sets, never from the text of a request."""

    def __init__(self) -> None:
        self._rendered, self._rendered_at = b"", float("-inf")
        self.registry = CollectorRegistry()
        self._add_sockets()
        self._add_logouts()
        self._add_signals()
        self._add_guards()
        self._add_calls()

    def _add_sockets(self) -> None:
        self.sockets = self._gauge("hub_sockets", "Accepted sockets of this replica")
        self.connects = self._counter(
            "hub_connects",
            "Sockets that tried to connect, by result: ok, or the error code of the refusal",
            "code",
        )
        self.notices = self._counter(
            "hub_notices", "Sockets that were notified of their end, by outcome", "state"
        )
        self.acknowledged_seconds = self._histogram(
            "hub_acknowledged_seconds",
            "Time from a logout's arrival at this replica to a socket's acknowledgement",
        )
        self.last_acknowledged_seconds = self._histogram(
            "hub_last_acknowledged_seconds",
            "Time from a logout's arrival at this replica until all its sockets had acknowledged",
        )
        self.last_cut_seconds = self._histogram(
            "hub_last_cut_seconds",
            "Time from a logout's arrival at this replica until its last socket was cut",
        )
        self.swept = self._counter(
            "hub_swept",
            "Sockets of ended sessions that a sweep found, by cause (slow means a bug)",
            "cause",
        )

    def _add_logouts(self) -> None:
        self.logouts = self._counter(
            "hub_logouts", "Logouts that this replica wrote", "scope", "reason"
        )
        self.received = self._counter(
            "hub_received", "Logouts that this replica received, including its own"
        )
        self.forged = self._counter(
            "hub_forged",
            "Messages on the pub/sub channel that no replica had signed; they are ignored",
        )
        self.replayed = self._counter(
            "hub_replayed",
            "Logouts that this replica missed on the pub/sub channel and found in the log",
        )
        self.position_age = self._gauge(
            "hub_position_age_seconds",
            "Seconds since every logout was last confirmed as received, in the worst partition",
        )
        self.following = self._gauge(
            "hub_following",
            "1 while this replica receives logouts in at least half of the partitions",
        )
        self.partitions = self._gauge(
            "hub_partitions", "Partitions by their state on this replica", "state"
        )
        self.fences = self._counter(
            "hub_fences",
            "Times that this replica closed sockets, unable to confirm that it receives logouts",
        )
        self.losses = self._counter(
            "hub_losses", "Times that this replica detected a data loss in the store"
        )

    def _add_signals(self) -> None:
        self.signals = self._counter(
            "hub_signals",
            "Signals that were accepted, by channel, sender and effect",
            "channel",
            "sender",
            "verdict",
        )
        self.signals_refused = self._counter(
            "hub_signals_refused",
            "Signals that were refused, by channel and reason",
            "channel",
            "reason",
        )
        self.signal_age = self._histogram(
            "hub_signal_age_seconds",
            "Time from the signing of a signal to its arrival",
            "channel",
            "sender",
            buckets=AGES,
        )
        self.signal_acknowledged = self._histogram(
            "hub_signal_acknowledged_seconds",
            "Time from a signal's arrival until the receipt of its logout was complete",
            "channel",
            "sender",
        )
        self.polls = self._counter(
            "hub_polls", "Polls of transmitters of security events by this replica", "result"
        )

    def _add_guards(self) -> None:
        self.guards = self._gauge("hub_guards", "Guards connected to the feed of this replica")
        self.guards_cut = self._counter(
            "hub_guards_cut", "Guards that were disconnected because they did not read the feed"
        )
        self.guard_snapshot_seconds = self._histogram(
            "hub_guard_snapshot_seconds",
            "Time to send a guard all revocations in force",
            buckets=AGES,
        )

    def _add_calls(self) -> None:
        self.requests = self._counter(
            "hub_requests", "HTTP requests, by route and status", "method", "route", "status"
        )
        self.request_seconds = self._histogram(
            "hub_request_seconds", "Time to answer an HTTP request", "method", "route"
        )
        self.tokens = self._counter(
            "hub_tokens",
            "Tokens verified, by issuer entry and by whether they identify their login",
            "issuer",
            "login",
        )
        self.limited = self._counter(
            "hub_limited",
            "Requests, events and sockets refused because a limit was reached, by limit",
            "kind",
        )
        self.audit_lost = self._counter(
            "hub_audit_lost", "Events lost because the audit log's queue was full"
        )
        self.audit_uncopied = self._counter(
            "hub_audit_uncopied", "Lines of the audit log that were not copied to the store"
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        counter = Counter(name, text, labels)
        self.registry.register(counter)
        return counter

    def _histogram(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = SECONDS
    ) -> Histogram:
        histogram = Histogram(name, text, labels, buckets)
        self.registry.register(histogram)
        return histogram

    def render(self, now: float) -> bytes:
        """Return all of them in Prometheus' text format 0.0.4, at most a second old.

        ``now`` is in seconds of a monotonic clock. Gathering the metrics takes milliseconds, and
        anybody may request them often.
        """
        if now - self._rendered_at >= FRESH:
            self._rendered_at = now
            self._rendered = generate_latest(self.registry)
        return self._rendered

    def names(self) -> list[str]:
        """Return the names of all metrics, as they are rendered."""
        return sorted(
            family.name + ("_total" if family.type == "counter" else "")
            for family in self.registry.collect()
        )
