"""The result of a run, as text."""

from __future__ import annotations

from collections import Counter

from tests.faults.checker import Piece, Violation
from tests.faults.history import NEVER, Call, Check, Fault, History, Logout, Notice, Socket, Token
from tests.faults.run import Outcome

MAX_SHOWN = 12
NEAR = 3.0


def report(outcome: Outcome) -> str:
    """Return the account of a run: what was done, T, and each violation with its story."""
    history, options = outcome.history, outcome.options
    results = Counter(f"{check.kind} {check.result}" for check in history.checks)
    ends = Counter(_outcome(logout) for logout in history.logouts)
    lines = [
        "",
        f"seed {options.seed}, {outcome.took:.0f} s",
        f"logouts       {outcome.logouts} answered ok"
        + "".join(f", {count} {name}" for name, count in sorted(ends.items()) if name != "ok"),
        f"signals       {_signals(history)}",
        f"operations    {len(history.checks)} checks and connects, {len(history.calls)} calls, "
        f"{len(history.sockets)} sockets accepted, "
        f"{sum(len(socket.notices) for socket in history.sockets)} notices",
        "faults        "
        + (
            ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.faults.items())) or "none"
        ),
        "checks        " + ", ".join(f"{name} {count}" for name, count in sorted(results.items())),
    ]
    for name, measured in outcome.measured.items():
        lines += [
            _times(f"told, {name}", measured.told),
            _times(f"closed, {name}", measured.closed),
        ]
    lines.append(_guards(outcome))
    lines.append(
        f"stalls        {len(outcome.stalls)} of the machine, the longest of "
        f"{max(outcome.stalls, default=0.0):.1f} s"
    )
    lines.append(f"unavailable   {outcome.needless} times with no fault near")
    lines += [f"logged        {complaint}" for complaint in outcome.complaints[:MAX_SHOWN]]
    found = outcome.violations
    lines.append(f"violations    {len(found)}")
    kinds = Counter(f"{violation.promise} {violation.text}" for violation in found)
    lines += [f"  {count} x {kind}" for kind, count in kinds.most_common(MAX_SHOWN)]
    for violation in _varied(found):
        lines += ["", *narrate(history, violation)]
    return "\n".join(lines)


def _outcome(logout: Logout) -> str:
    if logout.answer is not None:
        return "ok"
    return "unknown" if logout.may_have_happened else "refused"


def _signals(history: History) -> str:
    answered = [one for one in history.logouts if one.is_signal and one.answer is not None]
    kinds = Counter(one.how.removeprefix("signal ") for one in answered)
    again = sum(len(one.attempts) > 1 for one in answered)
    listed = "".join(f", {kind} {count}" for kind, count in sorted(kinds.items()))
    return f"{len(answered)} of these, {again} sent more than once{listed}"


def _guards(outcome: Outcome) -> str:
    checks = sum(check.is_by_guard for check in outcome.history.checks)
    late = max(outcome.late, default=0.0)
    return (
        f"guards        {checks} checks, {len(outcome.late)} dead ones accepted, "
        f"at most {late:.3f} s after an answer"
    )


def _times(name: str, values: list[float]) -> str:
    if not values:
        return f"T {name:<20} no samples"
    ordered = sorted(values)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99))
    return (
        f"T {name:<20} p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms, "
        f"max {1000 * ordered[-1]:.0f} ms, {len(ordered)} samples"
    )


def _varied(found: list[Violation]) -> list[Violation]:
    """Return a few violations of each kind."""
    seen: Counter[str] = Counter()
    shown = []
    for violation in found:
        kind = f"{violation.promise} {violation.text[:20]}"
        seen[kind] += 1
        if seen[kind] <= 3:
            shown.append(violation)
    return shown[:MAX_SHOWN]


def narrate(history: History, violation: Violation) -> list[str]:
    """Return a violation with the piece of history that shows it, line by line."""
    zero = min((check.start for check in history.checks), default=0.0)
    lines = [f"{violation.promise}: {violation.text}"]
    times: list[float] = []
    for piece in violation.pieces:
        lines += [f"    {line}" for line in _describe(piece, zero, history.epoch)]
        times += _span(piece)
    begin, end = min(times) - NEAR, max(t for t in times if t < NEVER) + NEAR
    for fault in history.faults:
        if fault.start <= end and fault.end >= begin and fault not in violation.pieces:
            lines += [f"    near: {line}" for line in _describe(fault, zero, history.epoch)]
    return lines


def _span(piece: Piece) -> list[float]:
    match piece:
        case Logout():
            return [time for a in piece.attempts for time in (a.start, a.end)] or [0.0]
        case Socket():
            return [piece.accepted, piece.closed]
        case Notice():
            return [piece.time]
    return [piece.start, piece.end]


def _describe(piece: Piece, zero: float, epoch: float) -> list[str]:
    def t(time: float) -> str:
        return "never" if time == NEVER else f"{time - zero:.3f}"

    def token(token: Token) -> str:
        return f"{token.sid} (iat {token.iat - epoch - zero:.6f})"

    match piece:
        case Logout():
            scope = f"{piece.scope} {piece.sid or ''}".strip()
            whose = "everyone" if piece.users is None else ", ".join(piece.users)
            head = f"logout {piece.key} ({piece.how}) of {whose}: {scope}"
            return [head + (f", asked by {piece.caller}" if piece.caller else "")] + [
                f"  {t(a.start)}..{t(a.end)} {a.replica}: {a.outcome}, {a.detail}"
                + (f", id {a.id}, at {a.at - epoch - zero:.6f}" if a.at else "")
                for a in piece.attempts
            ]
        case Check():
            return [
                f"{piece.kind} {t(piece.start)}..{t(piece.end)} {piece.replica}: "
                f"{token(piece.token)} {piece.result} {piece.detail}"
            ]
        case Socket():
            lines = [
                f"socket of {token(piece.token)} on {piece.replica}, {piece.manner}: accepted "
                f"{t(piece.accepted)}, closed {t(piece.closed)} by {piece.closed_by or 'nobody'}"
                f", code {piece.code}, cut {t(piece.cut) if piece.cut else 'never'}"
            ]
            lines += [
                f"  refresh {t(c.start)}..{t(c.end)} {token(c.token)} {c.result}"
                for c in piece.refreshes
            ]
            lines += [line for n in piece.notices for line in _describe(n, zero, epoch)]
            return lines
        case Notice():
            sid = piece.sid or ""
            return [
                f"  told {t(piece.time)}: {piece.id} {piece.scope} {sid} ({piece.reason}), "
                f"at {piece.at - epoch - zero:.6f}"
            ]
        case Call():
            return [
                f"{piece.what} {t(piece.start)}..{t(piece.end)} {piece.replica}: "
                f"{piece.status} {piece.detail}"
            ]
        case Fault():
            where = piece.target or "redis"
            return [f"{piece.kind} on {where} {t(piece.start)}..{t(piece.end)} {piece.detail}"]
