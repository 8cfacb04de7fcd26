"""Facts in words: labels, failure texts, and why a device is not updated."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batches_app.domain.reasons import LABELS, REASONS, REFUSALS, Situation, label, reason_text, why_not_updated
from batches_app.domain.states import Policy, Reason, TaskFacts, TaskStatus

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
POLICY = Policy(target_version="2.0")


def facts(status: TaskStatus, policy: Policy = POLICY, **values: Any) -> TaskFacts:
    return TaskFacts(status=status, policy=policy)._replace(**values)


def why(status: TaskStatus, around: Situation = Situation(), policy: Policy = POLICY, **values: Any) -> str:  # noqa: B008 - frozen
    return why_not_updated(facts(status, policy, **values), around, NOW).fill()


def test_the_seven_labels_are_the_seeds_word_for_word() -> None:
    """In the order of the seed."""
    assert [LABELS[status] for status in TaskStatus] == [
        "Pending Confirmation",
        "To Be Pushed",
        "Pushed",
        "Upgrading",
        "Updated",
        "Update failed",
        "Canceled",
    ]


def test_to_be_pushed_names_the_schedule_first() -> None:
    """rules.md §2: Scheduled, then Device Offline, then plain."""
    start = NOW + timedelta(hours=1)
    shown = label(TaskStatus.QUEUED, is_offline=True, schedule_at=start, now=NOW).fill()
    assert shown == "To Be Pushed (Scheduled: 2026/03/04 13:00:00)"


def test_to_be_pushed_names_an_offline_device() -> None:
    """Also after the scheduled start has passed."""
    shown = label(TaskStatus.QUEUED, is_offline=True, schedule_at=NOW, now=NOW).fill()
    assert shown == "To Be Pushed (Device Offline)"


def test_to_be_pushed_is_plain_otherwise() -> None:
    """Rate limited, waiting for a retry, or push off."""
    assert label(TaskStatus.QUEUED, is_offline=False, schedule_at=None, now=NOW).fill() == "To Be Pushed"


def test_only_to_be_pushed_has_forms() -> None:
    """An offline device in another state keeps the plain label."""
    assert label(TaskStatus.NOTIFIED, is_offline=True, schedule_at=None, now=NOW).fill() == "Pushed"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-1, "\u22121 The update failed"),
        (-2, "\u22122 The download failed"),
        (-3, "\u22123 The verification failed"),
        (-4, "\u22124 The flashing failed"),
    ],
)
def test_the_devices_codes_have_the_seeds_meanings(code: int, text: str) -> None:
    """−1 … −4."""
    assert reason_text(Reason(code)) == text


def test_every_reason_and_refusal_has_words() -> None:
    """Nothing is shown as a bare code."""
    assert all(REASONS[reason] for reason in Reason if reason is not Reason.NONE)
    assert all(sentence.endswith(".") for sentence in REFUSALS.values())


@pytest.mark.parametrize(
    ("status", "values", "start"),
    [
        (TaskStatus.CONFIRM, {}, "The update waits for the user to confirm it"),
        (TaskStatus.QUEUED, {}, "The device is online and waits for its turn in the push rate."),
        (TaskStatus.QUEUED, {"is_offline": True}, "The device is offline. It is pushed when it connects."),
        (TaskStatus.NOTIFIED, {}, "The device was notified and has not reported any progress yet."),
        (TaskStatus.NOTIFIED, {"is_offline": True}, "The device was notified and went offline"),
        (TaskStatus.IN_PROGRESS, {"progress": 40}, "The device is upgrading, 40 percent so far."),
        (TaskStatus.IN_PROGRESS, {"progress": 100}, "The device reported 100 percent; its new version"),
        (TaskStatus.SUCCEEDED, {}, "The device is updated"),
        (TaskStatus.SUCCEEDED, {"rolled_back_at": NOW}, "The device was updated, and has reported an older version"),
        (TaskStatus.FAILED, {"reason": Reason.TIMEOUT, "timeout_minutes": 60}, "The device did not report the new"),
        (TaskStatus.FAILED, {"reason": Reason.DOWNLOAD_FAILED}, "The device reported a failure (\u22122 The download"),
        (
            TaskStatus.FAILED,
            {"reason": Reason.DOWNLOAD_FAILED, "attempt": 2},
            "The device reported a failure (\u22122 The download failed) on attempt 3, the last one",
        ),
        (TaskStatus.FAILED, {"reason": Reason.CONFLICT}, "Another unfinished update held the device"),
        (TaskStatus.FAILED, {"reason": Reason.VERSION_MISMATCH}, "The device reported a version that is neither"),
        (
            TaskStatus.FAILED,
            {"late_success_at": NOW, "reason": Reason.TIMEOUT},
            "The update ended without success, but",
        ),
        (TaskStatus.CANCELED, {"reason": Reason.BATCH_CANCELED}, "The batch was canceled"),
        (TaskStatus.CANCELED, {"reason": Reason.OVERWRITTEN}, "A newer batch took over this device"),
        (
            TaskStatus.IN_PROGRESS,
            {"is_retry_pending": True, "attempt": 1, "reason": Reason.UPDATE_FAILED, "is_offline": True},
            "The update failed (\u22121 The update failed) and is tried again when the device connects.",
        ),
        (
            TaskStatus.NOTIFIED,
            {"is_retry_pending": True, "attempt": 1, "reason": Reason.UPDATE_FAILED, "not_before": NOW},
            "The update failed (\u22121 The update failed) and is being tried again, retry 1.",
        ),
        (
            TaskStatus.NOTIFIED,
            {
                "is_retry_pending": True,
                "attempt": 1,
                "reason": Reason.UPDATE_FAILED,
                "not_before": NOW + timedelta(minutes=10),
            },
            "The update failed (\u22121 The update failed) and is tried again at 2026/03/04 12:10:00, retry 1.",
        ),
    ],
)
def test_one_sentence_says_why(status: TaskStatus, values: dict[str, Any], start: str) -> None:
    """The drawer's sentence (design §5)."""
    assert why(status, **values).startswith(start)


@pytest.mark.parametrize(
    ("policy", "start"),
    [
        (POLICY._replace(is_paused=True), "The batch is paused."),
        (POLICY._replace(needs_push=False), "The batch does not push by itself"),
        (
            POLICY._replace(schedule_at=NOW + timedelta(hours=1)),
            "The update waits for its scheduled start at 2026/03/04 13",
        ),
    ],
)
def test_the_batchs_policy_explains_a_waiting_device(policy: Policy, start: str) -> None:
    """Paused, push off, scheduled."""
    assert why(TaskStatus.QUEUED, policy=policy).startswith(start)


def test_a_retry_that_is_not_pushed_waits_for_the_device() -> None:
    """NeedPush off."""
    values: dict[str, Any] = {"is_retry_pending": True, "attempt": 1, "reason": Reason.UPDATE_FAILED, "not_before": NOW}
    shown = why(TaskStatus.NOTIFIED, policy=POLICY._replace(needs_push=False), **values)
    assert shown.endswith("retry 1 waits for the device to ask for it.")


def test_a_disabled_device_is_named_first() -> None:
    """Nothing else helps before it is enabled."""
    assert why(TaskStatus.QUEUED, Situation(is_enabled=False)).startswith("The device is disabled.")


def test_the_source_version_that_changed_is_named() -> None:
    """rules.md §7, before a push."""
    shown = why(TaskStatus.FAILED, Situation(current_version="1.7"), reason=Reason.SOURCE_VERSION_CHANGED)
    assert "(1.7)" in shown
