"""Random lives of a task: whatever happens in whatever order, the promises of rules.md §2 hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batches_app.domain.states import (
    CONFIRM,
    NOTIFIED,
    QUEUED,
    SUCCEEDED,
    TERMINAL,
    Cancel,
    Confirmed,
    Connected,
    DeadlinePassed,
    DeviceFailure,
    Disconnected,
    Event,
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
    is_unfinished,
    was_handed_out,
)

START = datetime(2026, 3, 12, 3, 0, tzinfo=UTC)
VERSIONS = st.sampled_from(["1.0", "1.5", "2.0", "9.9"])
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Confirmed),
    st.builds(PushDue, VERSIONS),
    st.builds(PushAcknowledged, st.integers(1, 4)),
    st.builds(Pulled, VERSIONS),
    st.builds(Progress, st.integers(0, 100), st.just("")),
    st.builds(DeviceFailure, st.integers(-4, -1), st.just("")),
    st.builds(VersionReported, VERSIONS, st.booleans(), st.booleans()),
    st.builds(DeadlinePassed),
    st.builds(ScheduleEnded),
    st.builds(Cancel),
    st.builds(Reupgrade),
    st.builds(Connected),
    st.builds(Disconnected),
)
LIVES = st.lists(st.tuples(st.integers(0, 3600), EVENTS), max_size=25)


def _policy(values: dict[str, Any]) -> Policy:
    return Policy(**values)


def _facts(values: dict[str, Any]) -> TaskFacts:
    return TaskFacts(**values)


POLICIES: st.SearchStrategy[Policy] = st.fixed_dictionaries(
    {
        "target_version": st.just("2.0"),
        "allowed_sources": st.sampled_from([None, frozenset({"1.0"})]),
        "retry_limit": st.sampled_from([0, 1, 2]),
        "retry_interval_minutes": st.sampled_from([0, 10]),
        "notify_timeout_minutes": st.sampled_from([None, 5]),
        "needs_push": st.booleans(),
        "needs_confirm": st.booleans(),
        "is_paused": st.booleans(),
        "cancel_mask": st.sampled_from([0, 0, 0, 15]),
        "finish_at": st.sampled_from([None, START + timedelta(hours=6)]),
    }
).map(_policy)
STARTS: st.SearchStrategy[TaskFacts] = st.fixed_dictionaries(
    {
        "status": st.sampled_from([CONFIRM, QUEUED]),
        "policy": POLICIES,
        "timeout_minutes": st.sampled_from([None, 60]),
        "is_offline": st.booleans(),
        "source_version": st.sampled_from(["", "1.0"]),
    }
).map(_facts)


def _steps(facts: TaskFacts, life: list[tuple[int, Event]]) -> list[tuple[TaskFacts, Event, TaskFacts, datetime]]:
    now, steps = START, []
    for seconds, event in life:
        now += timedelta(seconds=seconds)
        after = decide(facts, event, now).facts
        steps.append((facts, event, after, now))
        facts = after
    return steps


@given(STARTS, LIVES)
def test_an_ended_task_leaves_its_end_only_by_reupgrade(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """And Updated never does."""
    for before, event, after, _ in _steps(facts, life):
        if before.status in TERMINAL and after.status != before.status:
            assert isinstance(event, Reupgrade)
            assert before.status != SUCCEEDED
            assert after.status == QUEUED


@given(STARTS, LIVES)
def test_success_comes_only_from_a_version_that_is_the_target(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """Never from 100 percent."""
    for before, event, after, _ in _steps(facts, life):
        if after.status == SUCCEEDED != before.status:
            match event:
                case (
                    VersionReported(version=version)
                    | PushDue(current_version=version)
                    | Pulled(current_version=version)
                ):
                    assert version == "2.0"
                case _:
                    raise AssertionError(event)


@given(STARTS, LIVES)
def test_retries_never_change_the_visible_status_and_timeouts_are_never_retried(
    facts: TaskFacts, life: list[tuple[int, Event]]
) -> None:
    """Seed."""
    for before, event, after, _ in _steps(facts, life):
        if after.attempt > before.attempt:
            assert after.status == before.status
            assert not isinstance(event, DeadlinePassed)
            assert after.attempt <= after.policy.retry_limit
        if isinstance(event, DeadlinePassed):
            assert after.attempt == before.attempt


@given(STARTS, LIVES)
def test_a_failure_code_without_a_retry_left_ends_what_was_handed_out(
    facts: TaskFacts, life: list[tuple[int, Event]]
) -> None:
    """No open task can fail for ever."""
    for before, event, after, _ in _steps(facts, life):
        has_retry = before.is_retry_pending or before.attempt < before.policy.retry_limit
        if isinstance(event, DeviceFailure) and is_unfinished(before.status) and was_handed_out(before):
            assert has_retry or after.status == TaskStatus.FAILED


@given(STARTS, LIVES)
def test_a_device_that_pulls_and_fails_again_and_again_uses_its_retries_up(
    facts: TaskFacts, life: list[tuple[int, Event]]
) -> None:
    """With push on or off: whatever happened before, the retries and the last failure end the task."""
    now = START + timedelta(hours=30)
    for _, _, after, _ in _steps(facts, life):
        facts = after
    for _ in range(facts.policy.retry_limit + 2):
        now = max(now, facts.not_before or now)
        pulled = decide(facts, Pulled("1.0"), now)
        if pulled.verdict is Verdict.REFUSED:
            return
        facts = decide(pulled.facts, DeviceFailure(-2), now).facts
    assert facts.status in TERMINAL


@given(STARTS, LIVES)
def test_the_timer_starts_once_until_a_reupgrade(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """Reconnects, re-pushes and retries never restart it."""
    for before, event, after, _ in _steps(facts, life):
        if before.first_progress_at is not None and not isinstance(event, Reupgrade):
            assert after.first_progress_at == before.first_progress_at


@given(STARTS, LIVES)
def test_any_event_applied_twice_changes_nothing_more(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """At-least-once delivery is safe. A claim is no message: it takes a number each time, by design."""
    for _, event, after, now in _steps(facts, life):
        if not isinstance(event, PushDue):
            again = decide(after, event, now)
            assert again.facts == after
            assert not again.history or isinstance(event, Pulled | VersionReported)


@given(STARTS, LIVES)
def test_an_ended_task_waits_for_nothing(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """The constraint of the database, and: a failed task always has a reason."""
    for _, _, after, _ in _steps(facts, life):
        if after.status in TERMINAL:
            assert (after.due_at, after.lease_until, after.deadline_at, after.not_before) == (None,) * 4
            assert after.ended_at is not None
        if after.status == TaskStatus.FAILED:
            assert after.reason != Reason.NONE


@given(STARTS, LIVES)
def test_nothing_is_due_while_offline_or_without_push(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """architecture: due_at is null while the device is offline or push is off; a claim's own lease is the exception."""
    for before, event, after, _ in _steps(facts, life):
        is_claim = isinstance(event, PushDue) or after.due_at == before.due_at
        if after.due_at is not None and not is_claim:
            assert not after.is_offline
            assert after.policy.needs_push


@given(STARTS, LIVES)
def test_a_refused_or_recorded_event_changes_no_fact(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """Never half done silently."""
    for before, event, _, now in _steps(facts, life):
        decision = decide(before, event, now)
        if decision.verdict is not Verdict.APPLIED:
            assert decision.facts == before
            assert decision.history == ()


@given(STARTS, LIVES)
def test_pushed_means_told(facts: TaskFacts, life: list[tuple[int, Event]]) -> None:
    """No task is Pushed or Upgrading that was never handed out."""
    for _, _, after, _ in _steps(facts, life):
        if after.status in (NOTIFIED, TaskStatus.IN_PROGRESS):
            assert after.push_no >= 1
            assert after.notified_at is not None
