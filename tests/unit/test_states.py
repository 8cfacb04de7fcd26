"""The table of rules.md §2, cell by cell: every state meets every event.

This file is long because it is one thing: the cells of one table.
"""

from datetime import UTC, datetime, timedelta

import pytest

from batches_app.domain.states import (
    CANCELED,
    CONFIRM,
    CONNECT_GRACE,
    FAILED,
    IN_PROGRESS,
    LEASE,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    TERMINAL,
    TRANSITIONS,
    UNFINISHED,
    Cancel,
    Confirmed,
    Connected,
    DeadlinePassed,
    DeviceFailure,
    Disconnected,
    Event,
    EventKind,
    Policy,
    Progress,
    Pulled,
    PushAcknowledged,
    PushDue,
    Reason,
    Reupgrade,
    ScheduleEnded,
    TaskFacts,
    TaskStatus,
    Verdict,
    VersionReported,
    decide,
    sources,
)

NOW = datetime(2026, 3, 12, 3, 0, tzinfo=UTC)
POLICY = Policy(target_version="2.0")
RETRYING = POLICY._replace(retry_limit=2, retry_interval_minutes=10, allowed_sources=frozenset({"1.0"}))


def task(status: TaskStatus, policy: Policy = POLICY, **facts: object) -> TaskFacts:
    """Facts as a task in this state has them after a normal life."""
    normal: dict[str, object] = {"source_version": "1.0", "timeout_minutes": 60}
    if status not in (CONFIRM, QUEUED):
        normal |= {"push_no": 1, "notified_at": NOW}
    if status == IN_PROGRESS:
        normal |= {"first_progress_at": NOW, "deadline_at": NOW + timedelta(hours=1), "progress": 0, "progress_at": NOW}
    if status in TERMINAL:
        normal |= {"ended_at": NOW}
    if status == FAILED:
        normal |= {"reason": Reason.TIMEOUT}
    return TaskFacts(status=status, policy=policy, **(normal | facts))  # type: ignore[arg-type]  # facts by name


FOREIGN = VersionReported("9.9")
TARGET = VersionReported("2.0")
SOURCE = VersionReported("1.0")
LATER = NOW + timedelta(hours=2)

# rows: event; columns: what the state becomes from CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED
TABLE: list[tuple[Event, tuple[TaskStatus, ...]]] = [
    (Confirmed(), (QUEUED, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED)),
    (PushDue("1.0"), (CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED)),
    (PushDue("2.0"), (CONFIRM, SUCCEEDED, SUCCEEDED, SUCCEEDED, SUCCEEDED, FAILED, CANCELED)),
    (Pulled("1.0"), (CONFIRM, NOTIFIED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED)),
    (Progress(10), (CONFIRM, QUEUED, IN_PROGRESS, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED)),
    (DeviceFailure(-2), (CONFIRM, QUEUED, FAILED, FAILED, SUCCEEDED, FAILED, CANCELED)),
    (TARGET, (SUCCEEDED, SUCCEEDED, SUCCEEDED, SUCCEEDED, SUCCEEDED, FAILED, CANCELED)),
    (SOURCE, (CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED)),
    (FOREIGN, (CONFIRM, QUEUED, NOTIFIED, FAILED, SUCCEEDED, FAILED, CANCELED)),
    (DeadlinePassed(), (CONFIRM, QUEUED, NOTIFIED, FAILED, SUCCEEDED, FAILED, CANCELED)),
    (Cancel(), (CANCELED, CANCELED, CANCELED, CANCELED, SUCCEEDED, FAILED, CANCELED)),
    (Reupgrade(), (CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, QUEUED, QUEUED)),
    (Connected(), (CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED)),
    (Disconnected(), (CONFIRM, QUEUED, NOTIFIED, IN_PROGRESS, SUCCEEDED, FAILED, CANCELED)),
]
CELLS = [(event, status, row[status]) for event, row in TABLE for status in TaskStatus]


@pytest.mark.parametrize(("event", "status", "expected"), CELLS)
def test_each_state_meets_each_event_as_the_table_says(event: Event, status: TaskStatus, expected: TaskStatus) -> None:
    """rules.md §2, the whole table, without a retry policy."""
    assert decide(task(status), event, LATER).facts.status == expected


@pytest.mark.parametrize("status", list(TaskStatus))
def test_an_acknowledged_push_counts_only_for_its_own_claim(status: TaskStatus) -> None:
    """The recorder writes only where its own token still stands."""
    claimed = task(status, push_no=3, lease_until=NOW + LEASE)
    stale = decide(claimed, PushAcknowledged(2), NOW)
    own = decide(claimed, PushAcknowledged(3), NOW)
    assert stale.facts == claimed
    expected = {QUEUED: NOTIFIED}.get(status, status)
    assert own.facts.status == expected


@pytest.mark.parametrize("status", [QUEUED, NOTIFIED, IN_PROGRESS])
def test_a_claim_is_a_lease_with_the_next_number(status: TaskStatus) -> None:
    """About to be pushed: push_no + 1; as due as before once the lease ends."""
    before = task(status, due_at=NOW)
    after = decide(before, PushDue("1.0"), NOW).facts
    assert (after.push_no, after.lease_until, after.due_at) == (before.push_no + 1, NOW + LEASE, NOW)


def test_the_first_push_of_an_attempt_fixes_the_source_version() -> None:
    """rules.md §7 "before a push"."""
    assert decide(task(QUEUED), PushDue("1.5"), NOW).facts.source_version == "1.5"
    assert decide(task(NOTIFIED), PushDue("1.5"), NOW).facts.source_version == "1.0"


def test_a_device_that_left_the_source_versions_fails_without_retry() -> None:
    """SOURCE_VERSION_CHANGED is not retried."""
    after = decide(task(QUEUED, RETRYING), PushDue("1.5"), NOW).facts
    assert (after.status, after.reason, after.is_retry_pending) == (FAILED, Reason.SOURCE_VERSION_CHANGED, False)


@pytest.mark.parametrize("event", [Progress(10), DeviceFailure(-1)])
@pytest.mark.parametrize("status", [CONFIRM, QUEUED])
def test_a_report_before_any_push_is_recorded_only(status: TaskStatus, event: Event) -> None:
    """A late message of an older task cannot move, nor time, a new one that was never pushed."""
    before = task(status)
    decision = decide(before, event, NOW)
    assert decision.verdict is Verdict.RECORDED
    assert decision.facts == before


@pytest.mark.parametrize(("event", "expected"), [(Progress(10), IN_PROGRESS), (DeviceFailure(-1), FAILED)])
def test_a_fast_report_overtakes_the_record_of_its_push(event: Event, expected: TaskStatus) -> None:
    """Pushed once (push_no ≥ 1) is enough, though the row still says To Be Pushed."""
    after = decide(task(QUEUED, push_no=1, lease_until=NOW + LEASE), event, NOW).facts
    assert after.status == expected
    assert after.notified_at == NOW


def test_the_timer_starts_once() -> None:
    """At the first progress report, whatever comes later (seed)."""
    first = decide(task(NOTIFIED), Progress(0), NOW).facts
    second = decide(first, Progress(50), NOW + timedelta(minutes=30)).facts
    assert first.deadline_at == NOW + timedelta(minutes=60)
    assert second.deadline_at == first.deadline_at


@pytest.mark.parametrize("event", [Connected(), Disconnected(), PushDue("1.0"), Pulled("1.0"), DeviceFailure(-3)])
def test_nothing_restarts_the_timer(event: Event) -> None:
    """Reconnects, re-pushes and retries never do."""
    before = task(IN_PROGRESS, RETRYING)
    assert decide(before, event, NOW + timedelta(minutes=5)).facts.deadline_at == before.deadline_at


def test_a_failure_code_never_starts_the_timer() -> None:
    """Only progress 0 … 100 does."""
    after = decide(task(NOTIFIED, RETRYING), DeviceFailure(-2), NOW).facts
    assert (after.first_progress_at, after.deadline_at) == (None, None)


@pytest.mark.parametrize("status", [QUEUED, NOTIFIED, IN_PROGRESS])
@pytest.mark.parametrize("code", [-1, -2, -3, -4])
def test_a_retry_does_not_change_the_visible_status(status: TaskStatus, code: int) -> None:
    """Seed: during an automatic retry the update status does not change."""
    after = decide(task(status, RETRYING, push_no=1), DeviceFailure(code, "why"), NOW).facts
    assert (after.status, after.attempt, after.is_retry_pending) == (status, 1, True)
    assert (after.not_before, after.reason, after.reason_text) == (NOW + timedelta(minutes=10), Reason(code), "why")


def test_a_foreign_version_while_upgrading_is_retried() -> None:
    """Seed: neither source nor target, in Upgrading."""
    after = decide(task(IN_PROGRESS, RETRYING), FOREIGN, NOW).facts
    assert (after.status, after.is_retry_pending, after.reason) == (IN_PROGRESS, True, Reason.VERSION_MISMATCH)


def test_the_retry_of_a_foreign_version_is_a_push_to_that_version() -> None:
    """Seed: the system automatically retries; the version that it is pushed to becomes the attempt's source."""
    policy = RETRYING._replace(allowed_sources=frozenset({"1.0"}))
    waiting = decide(task(IN_PROGRESS, policy), FOREIGN, NOW).facts
    pushed = decide(waiting, PushDue(FOREIGN.version), NOW + timedelta(minutes=10)).facts
    assert (pushed.status, pushed.push_no, pushed.source_version) == (IN_PROGRESS, 2, FOREIGN.version)
    assert decide(pushed, PushDue(FOREIGN.version), NOW + timedelta(minutes=11)).facts.status == IN_PROGRESS


def test_a_delta_package_is_not_pushed_to_a_foreign_version() -> None:
    """rules.md §7: delta package: the device's version must still be its source."""
    policy = RETRYING._replace(allowed_sources=frozenset({"1.0"}), is_delta=True)
    waiting = decide(task(IN_PROGRESS, policy), FOREIGN, NOW).facts
    after = decide(waiting, PushDue(FOREIGN.version), NOW + timedelta(minutes=10)).facts
    assert (after.status, after.reason) == (FAILED, Reason.SOURCE_VERSION_CHANGED)


@pytest.mark.parametrize("event", [DeviceFailure(-1), FOREIGN])
def test_what_comes_while_a_retry_waits_is_recorded_not_counted(event: Event) -> None:
    """Messages come twice."""
    waiting = decide(task(IN_PROGRESS, RETRYING), DeviceFailure(-1), NOW).facts
    again = decide(waiting, event, NOW)
    assert (again.verdict, again.facts) == (Verdict.RECORDED, waiting)


def test_progress_while_a_retry_waits_drops_the_retry_and_keeps_the_attempt() -> None:
    """The device goes on by itself."""
    waiting = decide(task(IN_PROGRESS, RETRYING), DeviceFailure(-1), NOW).facts
    after = decide(waiting, Progress(5), NOW).facts
    assert (after.is_retry_pending, after.not_before, after.due_at, after.attempt) == (False, None, None, 1)


def test_retries_end_after_the_policys_count() -> None:
    """At most RetryCount retries per task."""
    facts = task(NOTIFIED, RETRYING)
    for _ in range(2):
        facts = decide(facts, DeviceFailure(-1), NOW).facts
        facts = decide(facts, PushDue("1.0"), NOW).facts
    assert decide(facts, DeviceFailure(-1), NOW).facts.status == FAILED


def test_a_timeout_is_never_retried() -> None:
    """Seed: the failure reason is timeout."""
    after = decide(task(IN_PROGRESS, RETRYING), DeadlinePassed(), LATER).facts
    assert (after.status, after.reason) == (FAILED, Reason.TIMEOUT)


def test_not_acknowledged_ends_a_pushed_task_only_where_the_batch_sets_it() -> None:
    """Our extension; it counts online time since the last push."""
    policy = POLICY._replace(notify_timeout_minutes=10)
    pushed = decide(task(QUEUED, policy, push_no=1, lease_until=NOW + LEASE), PushAcknowledged(1), NOW).facts
    offline = decide(pushed, Disconnected(), NOW + timedelta(minutes=4)).facts
    assert offline.notify_seconds_left == 360
    assert decide(offline, DeadlinePassed(), LATER).facts.status == NOTIFIED
    after = decide(pushed, DeadlinePassed(), NOW + timedelta(minutes=10)).facts
    assert (after.status, after.reason) == (FAILED, Reason.NOT_ACKNOWLEDGED)


def test_the_first_version_of_an_unknown_device_becomes_its_source() -> None:
    """rules.md §7: only a different one later, while Upgrading, is a mismatch."""
    known = decide(task(IN_PROGRESS, source_version=""), VersionReported("1.3"), NOW).facts
    assert (known.status, known.source_version) == (IN_PROGRESS, "1.3")
    assert decide(known, FOREIGN, NOW).facts.reason == Reason.VERSION_MISMATCH


@pytest.mark.parametrize("status", [FAILED, CANCELED])
def test_late_success_is_noted_and_the_record_kept(status: TaskStatus) -> None:
    """rules.md §2, once."""
    late = decide(task(status), TARGET, NOW).facts
    assert (late.status, late.late_success_at) == (status, NOW)
    assert decide(late, TARGET, LATER).facts == late


def test_a_rollback_after_success_is_noted() -> None:
    """The task stays Updated."""
    after = decide(task(SUCCEEDED), VersionReported("1.0", is_rollback=True), NOW).facts
    assert (after.status, after.rolled_back_at) == (SUCCEEDED, NOW)


def test_confirm_counts_within_the_schedule_only() -> None:
    """[start, finish), by the clock."""
    policy = POLICY._replace(schedule_at=NOW, finish_at=LATER)
    early = decide(task(CONFIRM, policy), Confirmed(), NOW - timedelta(seconds=1))
    late = decide(task(CONFIRM, policy), Confirmed(), LATER)
    assert (early.verdict, early.refusal) == (Verdict.REFUSED, "before_schedule")
    assert (late.verdict, late.refusal) == (Verdict.REFUSED, "after_finish")
    assert decide(task(CONFIRM, policy), Confirmed(), NOW).facts.status == QUEUED


@pytest.mark.parametrize(
    ("status", "policy"),
    [(CONFIRM, POLICY), (QUEUED, POLICY._replace(schedule_at=LATER)), (QUEUED, POLICY._replace(is_paused=True))],
)
def test_a_pull_too_early_is_answered_with_nothing(status: TaskStatus, policy: Policy) -> None:
    """In CONFIRM, before the scheduled start, or in QUEUED of a paused batch."""
    assert decide(task(status, policy), Pulled("1.0"), NOW).verdict is Verdict.REFUSED


def test_a_pull_in_a_paused_batch_goes_on_while_upgrading() -> None:
    """rules.md §3: Upgrading devices go on, retries and pulls included."""
    paused = task(IN_PROGRESS, POLICY._replace(is_paused=True))
    assert decide(paused, Pulled("1.0"), NOW).verdict is Verdict.APPLIED


def test_finish_time_cancels_what_waits_and_lets_upgrading_go_on() -> None:
    """SCHEDULE_ENDED."""
    policy = RETRYING._replace(finish_at=NOW)
    for status in (CONFIRM, QUEUED, NOTIFIED):
        ended = decide(task(status, policy), ScheduleEnded(), NOW).facts
        assert (ended.status, ended.reason) == (CANCELED, Reason.SCHEDULE_ENDED)
    assert decide(task(IN_PROGRESS, policy), ScheduleEnded(), NOW).verdict is Verdict.IGNORED
    assert decide(task(IN_PROGRESS, policy), DeviceFailure(-1), NOW).facts.status == FAILED


def test_reupgrade_resets_timer_progress_retries_and_failure_but_not_the_push_number() -> None:
    """rules.md §2."""
    ended = task(FAILED, attempt=2, push_no=4, progress=60, first_progress_at=NOW, late_success_at=NOW)
    after = decide(ended, Reupgrade(), NOW).facts
    assert (after.status, after.attempt, after.progress, after.first_progress_at, after.reason) == (
        QUEUED,
        0,
        None,
        None,
        0,
    )
    assert (after.push_no, after.due_at, after.ended_at, after.late_success_at) == (4, NOW, None, None)


def test_reupgrade_of_a_task_that_was_never_confirmed_is_refused() -> None:
    """If the task needs confirmation it must have been confirmed (vendor reference §3.3)."""
    asked = task(CANCELED, POLICY._replace(needs_confirm=True))
    assert decide(asked, Reupgrade(), NOW).refusal == "never_confirmed"


def test_a_device_that_connects_gets_two_seconds_to_report() -> None:
    """rules.md §5; a waiting retry is not brought forward."""
    after = decide(task(NOTIFIED, is_offline=True), Connected(), NOW).facts
    assert (after.due_at, after.is_offline) == (NOW + timedelta(seconds=2), False)
    retry = task(NOTIFIED, is_offline=True, is_retry_pending=True, not_before=LATER)
    assert decide(retry, Connected(), NOW).facts.due_at == LATER


def test_a_device_that_connects_between_claim_and_record_is_pushed_again() -> None:
    """The push may have left before it was there: its record counts no more, and what the connect made due stays."""
    claimed = decide(task(QUEUED), PushDue("1.0"), NOW).facts
    connected = decide(claimed, Connected(), NOW + timedelta(seconds=1)).facts
    recorded = decide(connected, PushAcknowledged(claimed.push_no), NOW + timedelta(seconds=1)).facts
    assert (recorded.status, recorded.lease_until) == (QUEUED, None)
    assert recorded.due_at == NOW + timedelta(seconds=1) + CONNECT_GRACE


def test_a_fresh_upgrading_device_is_not_pushed_again_on_connect() -> None:
    """Flapping links would restart downloads."""
    facts = task(IN_PROGRESS, is_offline=True)
    assert decide(facts, Connected(), NOW + timedelta(seconds=59)).facts.due_at is None
    assert decide(facts, Connected(), NOW + timedelta(seconds=60)).facts.due_at is not None


def test_with_push_off_nothing_is_ever_due() -> None:
    """NeedPush off: the task stays To Be Pushed until the device pulls."""
    silent = task(QUEUED, POLICY._replace(needs_push=False), is_offline=True)
    assert decide(silent, Connected(), NOW).facts.due_at is None
    assert decide(silent, Pulled("1.0"), NOW).facts.status == NOTIFIED


PULL_ONLY = RETRYING._replace(needs_push=False)


@pytest.mark.parametrize("policy", [RETRYING, PULL_ONLY])
@pytest.mark.parametrize("status", [NOTIFIED, IN_PROGRESS])
def test_a_pull_whose_time_has_come_is_the_waiting_retry(status: TaskStatus, policy: Policy) -> None:
    """With push off nothing else hands it out; with push on it need not be pushed as well."""
    waiting = decide(task(status, policy), DeviceFailure(-2), NOW).facts
    pulled = decide(waiting, Pulled("1.0"), NOW + timedelta(minutes=10)).facts
    assert (pulled.status, pulled.push_no, pulled.attempt) == (status, 2, 1)
    assert (pulled.is_retry_pending, pulled.not_before, pulled.due_at) == (False, None, None)


@pytest.mark.parametrize("policy", [RETRYING, PULL_ONLY])
def test_a_pull_before_its_time_brings_no_retry_forward(policy: Policy) -> None:
    """rules.md §2: the device gets its update, and what it reports before `not_before` is recorded, not counted."""
    waiting = decide(task(NOTIFIED, policy), DeviceFailure(-2), NOW).facts
    pulled = decide(waiting, Pulled("1.0"), NOW + timedelta(minutes=9))
    assert pulled.verdict is Verdict.APPLIED
    assert pulled.facts == waiting
    assert decide(pulled.facts, DeviceFailure(-2), NOW + timedelta(minutes=9)).verdict is Verdict.RECORDED
    on_its_way = decide(pulled.facts, Progress(10), NOW + timedelta(minutes=9)).facts
    assert (on_its_way.status, on_its_way.is_retry_pending, on_its_way.attempt) == (IN_PROGRESS, False, 1)


def test_a_device_that_only_pulls_fails_after_the_policys_count() -> None:
    """Each pull whose time has come is an attempt."""
    facts, now = task(QUEUED, PULL_ONLY), NOW
    for attempt in (1, 2, 2):
        facts = decide(facts, Pulled("1.0"), now).facts
        facts = decide(facts, DeviceFailure(-2), now).facts
        now += timedelta(minutes=10)
        assert facts.attempt == attempt
    assert (facts.status, facts.reason, facts.push_no) == (FAILED, Reason.DOWNLOAD_FAILED, 3)


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_a_task_whose_cancel_was_asked_for_is_handed_out_no_more(status: TaskStatus) -> None:
    """Cancel wins: it is written on the batch row first (rules.md §3)."""
    facts = task(status, POLICY._replace(cancel_mask=15))
    for event in (Confirmed(), PushDue("1.0"), Pulled("1.0")):
        assert decide(facts, event, NOW).facts == facts


def test_progress_never_moves_backwards_within_an_attempt() -> None:
    """rules.md §7."""
    assert decide(task(IN_PROGRESS, progress=50), Progress(20), NOW).facts.progress == 50


def test_history_has_a_line_per_quarter_of_progress() -> None:
    """rules.md §7: per 25 % of progress."""
    facts, lines = task(NOTIFIED), 0
    for step in range(101):
        decision = decide(facts, Progress(step), NOW)
        facts, lines = decision.facts, lines + len(decision.history)
    assert lines == 5
    assert decide(facts, Progress(100), NOW).history == ()


def test_the_table_names_every_source_of_a_push() -> None:
    """What the SQL guards are generated from."""
    assert sources(PushAcknowledged) == {QUEUED, NOTIFIED, IN_PROGRESS}
    assert sources(Cancel) == set(TaskStatus)
    assert {event for _, event in TRANSITIONS} >= {type(event) for event, _ in TABLE}


def test_every_failure_line_tells_its_reason() -> None:
    """The timeline shows what the device said."""
    decision = decide(task(IN_PROGRESS), DeviceFailure(-2, "certificate expired"), NOW)
    assert decision.history[0].kind is EventKind.FAILURE
    assert decision.history[0].detail == {"reason": Reason.DOWNLOAD_FAILED, "text": "certificate expired"}
