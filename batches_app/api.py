"""REST API: batches, device updates and device lists. Views translate and delegate; rules live in the commands.

This file is long because it is one thing: the endpoints of one resource tree, batches and their device updates.
"""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from batches_app import filters, serializers
from batches_app.commands import cancel, confirm, device_lists, edit, launch, pause
from batches_app.commands.delete_device import delete_device
from batches_app.commands.device_access import set_device_enabled
from batches_app.commands.results import TaskResult
from batches_app.domain.states import TaskStatus
from batches_app.selectors import api_rows
from batches_app.selectors.batches import BatchFacts, batch_facts, batches
from devices_app.api import DeviceViewSet
from ota_console.core.errors import Conflict, NotFound
from ota_console.web.openapi import PUBLIC_ID
from ota_console.web.rest import ApiViewSet, StrictJSONParser

_PACKAGE = "0QYPyIY8nWvFAqSYsdvnhRLDjF"
_LAUNCHES = [
    OpenApiExample(
        "Verify on two test devices",
        {"package": _PACKAGE, "kind": "VERIFY", "device_names": ["meter-0001", "meter-0002"], "timeout_minutes": 60},
        request_only=True,
    ),
    OpenApiExample(
        "All devices on two versions, 600 a minute, with retries",
        {
            "package": _PACKAGE,
            "source_versions": ["1.0.0", "1.0.1"],
            "rate_per_minute": 600,
            "timeout_minutes": 60,
            "retry_interval_minutes": 10,
            "retry_count": 2,
            "tags": [{"key": "region", "value": "north"}],
        },
        request_only=True,
    ),
    OpenApiExample(
        "5 % of all, growing rate",
        {
            "package": _PACKAGE,
            "target": "GRAY",
            "gray_percent": "5",
            "rate_kind": "VARIABLE",
            "rate_base_per_minute": 50,
            "rate_per_minute": 1000,
            "rate_factor": 1.5,
            "rate_notified_step": 100,
        },
        request_only=True,
    ),
    OpenApiExample(
        "Dynamic: whoever runs 1.0.0, now and later",
        {"package": _PACKAGE, "selection": "DYNAMIC", "source_versions": ["1.0.0"]},
        request_only=True,
    ),
]


@extend_schema(tags=["Batches"])
class BatchViewSet(ListModelMixin, ApiViewSet[Any]):
    queryset = batches()
    filterset_class = filters.BatchApiFilter
    serializer_class = serializers.BatchOut
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = PUBLIC_ID

    @extend_schema(summary="List batches, newest first")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """With their counts."""
        return super().list(request, *args, **kwargs)

    def paginate_queryset(self, queryset: Any) -> Any:
        """A page of batches, each with what the console says of it."""
        return [BatchFacts(batch, self.now()) for batch in super().paginate_queryset(queryset) or ()]

    @extend_schema(summary="Get a batch")
    def retrieve(self, request: Request, id: str) -> Response:
        """With its counts. They are maintained, not counted: asking is cheap."""
        return self._batch(id)

    @extend_schema(
        summary="Launch a batch",
        request=serializers.BatchIn,
        responses={201: serializers.BatchOut},
        examples=_LAUNCHES,
    )
    def create(self, request: Request) -> Response:
        """Verify, static or dynamic. Answers at once; `launch` says how far the writing of its tasks is."""
        launched = launch.launch_batch(request=self._launch_request(), actor=self.actor(), now=self.now())
        return self._batch(launched.public_id, status.HTTP_201_CREATED)

    @extend_schema(summary="Review a launch", request=serializers.BatchIn, responses=serializers.ReviewOut)
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None)
    def review(self, request: Request) -> Response:
        """The dry run, by the launch's own statement: who would be in, who not and why. Changes nothing."""
        review = launch.review_launch(request=self._launch_request(), now=self.now())
        return Response(serializers.ReviewOut(review).data)

    @extend_schema(summary="Edit a running batch", request=serializers.BatchEditIn)
    def partial_update(self, request: Request, id: str) -> Response:
        """Rate values and tags; of dynamic batches source versions and time-out too. Holds within 5 seconds."""
        given = serializers.BatchEditIn(data=request.data)
        given.is_valid(raise_exception=True)
        changes = given.edit(batch_facts(id, self.now()).rate)
        seen = given.validated_data.get("expected_updated_at")
        edit.edit_batch(batch=id, edit=changes, actor=self.actor(), now=self.now(), expected_updated_at=seen)
        return self._batch(id)

    @extend_schema(summary="Pause a batch", request=None)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, id: str) -> Response:
        """Nothing is sent to devices that have not started; those that are Upgrading go on."""
        pause.pause_batch(batch=id, actor=self.actor(), now=self.now())
        return self._batch(id)

    @extend_schema(summary="Resume a batch", request=None)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, id: str) -> Response:
        """The rate does not make up for the pause."""
        pause.resume_batch(batch=id, actor=self.actor(), now=self.now())
        return self._batch(id)

    @extend_schema(
        summary="Cancel a batch",
        request=serializers.CancelIn,
        responses={202: serializers.CancelStartedOut},
        examples=[
            OpenApiExample("A dynamic policy and its ongoing tasks", {"include_ongoing": True}, request_only=True)
        ],
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """Static: with all its unfinished tasks. Dynamic: only the policy, unless `include_ongoing`."""
        values = self.read(serializers.CancelIn)
        started = cancel.cancel_batch(batch=id, actor=self.actor(), now=self.now(), **values)
        return Response(serializers.CancelStartedOut(started).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        summary="Cancel device updates of a batch",
        request=serializers.CancelTasksIn,
        responses={202: serializers.CanceledOut},
        examples=[
            OpenApiExample(
                "All that have not started", {"states": ["CONFIRM", "QUEUED", "NOTIFIED"]}, request_only=True
            ),
            OpenApiExample("Two devices", {"device_names": ["meter-0001", "meter-0002"]}, request_only=True),
        ],
    )
    @action(detail=True, methods=["post"], url_path="cancel-tasks")
    def cancel_tasks(self, request: Request, id: str) -> Response:
        """All in some states (in slices), or single ones by device name or id. The batch goes on."""
        values = self.read(serializers.CancelTasksIn)
        if "states" in values:
            states = {TaskStatus[name] for name in values["states"]}
            started = cancel.cancel_tasks_by_state(batch=id, states=states, actor=self.actor(), now=self.now())
            return self._canceled(started.task_count, ())
        results = self._cancel_single(id, **values)
        return self._canceled(sum(result.is_done for result in results), results)

    def _cancel_single(
        self, id: str, tasks: Sequence[str] = (), device_names: Sequence[str] = ()
    ) -> tuple[TaskResult, ...]:
        package = batch_facts(id, self.now()).batch.package.public_id
        if tasks:
            return cancel.cancel_tasks(tasks=tasks, batch=id, actor=self.actor(), now=self.now())
        return cancel.cancel_by_device(
            package=package, batch=id, device_names=device_names, actor=self.actor(), now=self.now()
        )

    def _canceled(self, task_count: int, results: Sequence[TaskResult]) -> Response:
        answer = serializers.CanceledOut({"task_count": task_count, "results": results})
        return Response(answer.data, status=status.HTTP_202_ACCEPTED)

    def _launch_request(self) -> launch.LaunchRequest:
        given = serializers.BatchIn(data=self.request.data)
        given.is_valid(raise_exception=True)
        return given.launch_request()

    def _batch(self, public_id: str, code: int = status.HTTP_200_OK) -> Response:
        return Response(serializers.BatchOut(batch_facts(public_id, self.now())).data, status=code)


@extend_schema(tags=["Device updates"])
class TaskViewSet(ListModelMixin, ApiViewSet[Any]):
    queryset = api_rows.tasks()
    filterset_class = filters.TaskApiFilter
    serializer_class = serializers.TaskOut
    lookup_field = "public_id"
    lookup_url_kwarg = "id"
    lookup_value_regex = PUBLIC_ID

    @extend_schema(summary="List device updates, newest first")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Of a batch, of a device, in some states. Pages stay stable while tasks move."""
        return super().list(request, *args, **kwargs)

    @extend_schema(summary="Get a device update", responses=serializers.TaskDetailOut)
    def retrieve(self, request: Request, id: str) -> Response:
        """With its history, oldest line first."""
        return self._task(id)

    @extend_schema(
        summary="Confirm device updates",
        operation_id="tasks_confirm_many",
        request=serializers.TaskIdsIn,
        responses=serializers.TaskResultsOut,
    )
    @action(detail=False, methods=["post"], url_path="confirm", filterset_class=None, pagination_class=None)
    def confirm_many(self, request: Request) -> Response:
        """In the app's place. One result for each; a refused one does not keep the others."""
        tasks = self.read(serializers.TaskIdsIn)["tasks"]
        results = confirm.confirm_tasks(tasks=tasks, actor=self.actor(), now=self.now())
        return Response(serializers.TaskResultsOut({"results": results}).data)

    @extend_schema(
        summary="Re-upgrade device updates",
        operation_id="tasks_reupgrade_many",
        request=serializers.TaskIdsIn,
        responses=serializers.TaskResultsOut,
    )
    @action(detail=False, methods=["post"], url_path="reupgrade", filterset_class=None, pagination_class=None)
    def reupgrade_many(self, request: Request) -> Response:
        """Failed and canceled ones start again. One result for each; a refused one does not keep the others."""
        tasks = self.read(serializers.TaskIdsIn)["tasks"]
        results = confirm.reupgrade_tasks(tasks=tasks, actor=self.actor(), now=self.now())
        return Response(serializers.TaskResultsOut({"results": results}).data)

    @extend_schema(summary="Confirm a device update", request=None, responses=serializers.TaskDetailOut)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, id: str) -> Response:
        """In the app's place. Refused (409) with the reason where it cannot be."""
        _raise_refusal(confirm.confirm_tasks(tasks=[id], actor=self.actor(), now=self.now())[0])
        return self._task(id)

    @extend_schema(summary="Re-upgrade a device update", request=None, responses=serializers.TaskDetailOut)
    @action(detail=True, methods=["post"])
    def reupgrade(self, request: Request, id: str) -> Response:
        """A failed or canceled one starts again. Refused (409) with the reason where it cannot."""
        _raise_refusal(confirm.reupgrade_tasks(tasks=[id], actor=self.actor(), now=self.now())[0])
        return self._task(id)

    @extend_schema(summary="Cancel a device update", request=None, responses=serializers.TaskDetailOut)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """An Upgrading one too. Refused (409) where it has ended."""
        _raise_refusal(cancel.cancel_tasks(tasks=[id], actor=self.actor(), now=self.now())[0])
        return self._task(id)

    def _task(self, public_id: str) -> Response:
        return Response(serializers.TaskDetailOut(api_rows.task(public_id)).data)


def _raise_refusal(result: TaskResult) -> None:
    if result.code == "unknown_task":
        raise NotFound("task_unknown", result.message)
    if not result.is_done:
        raise Conflict(result.code, result.message)


class DeviceWithUpdatesViewSet(DeviceViewSet):
    """Devices, and what happens to updates with them: that stands here, above the devices."""

    @extend_schema(tags=["Devices"], summary="Enable a device", request=None)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, id: str) -> Response:
        """Let it log in; its updates go on when it does. An enabled one stays as it is."""
        set_device_enabled(device=id, is_enabled=True, actor=self.actor(), now=self.now())
        return self.one(id)

    @extend_schema(tags=["Devices"], summary="Disable a device", request=None)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, id: str) -> Response:
        """End its session, refuse its log-in. Its updates wait, and its download links are dead meanwhile."""
        set_device_enabled(device=id, is_enabled=False, actor=self.actor(), now=self.now())
        return self.one(id)

    @extend_schema(tags=["Devices"], summary="Delete a device", responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        """Its unfinished updates become Canceled; their history keeps its name."""
        delete_device(device=id, actor=self.actor(), now=self.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Device lists"])
class DeviceListViewSet(ApiViewSet[Any]):
    serializer_class = serializers.DeviceListOut
    parser_classes = (StrictJSONParser, MultiPartParser)
    filterset_class = None
    lookup_url_kwarg = "id"
    lookup_value_regex = PUBLIC_ID
    field_names = {"product": "product_key"}

    @extend_schema(
        summary="Create a device list",
        request={"application/json": serializers.DeviceListIn, "multipart/form-data": serializers.DeviceListIn},
        responses={201: serializers.DeviceListOut},
    )
    def create(self, request: Request) -> Response:
        """For batches with target SPECIFIC: up to 1,000,000 names, as JSON or as a CSV or TXT file of up to 5 MB."""
        values = self.read(serializers.DeviceListIn)
        who = {"product": values["product_key"], "actor": self.actor(), "now": self.now()}
        if file := values.get("file"):
            created = device_lists.upload_device_list(file=file, file_name=file.name, **who)
        else:
            created = device_lists.create_device_list(names=values["device_names"], **who)
        return Response(serializers.DeviceListOut(created).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        summary="Download the bad lines of a device list",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="line,name,reason")},
    )
    @action(detail=True, url_path="bad-lines", pagination_class=None)
    def bad_lines(self, request: Request, id: str) -> HttpResponse:
        """Names that were left out: unknown, malformed or repeated."""
        response = HttpResponse(api_rows.bad_lines(id), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="bad-lines.csv"'
        return response
