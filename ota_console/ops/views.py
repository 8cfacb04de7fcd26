"""/healthz says that the process lives; /readyz that everything it needs answers."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ota_console.core import clock
from ota_console.ops.health import check_readiness


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 where every part answers, else 503; each part with its reason, so that the first look tells what to mend."""
    parts = check_readiness(now=clock.now())
    is_ready = all(part.is_ok for part in parts)
    body = {
        "status": "ok" if is_ready else "unavailable",
        "checks": {part.name: {"ok": part.is_ok, "reason": part.reason} for part in parts},
    }
    return JsonResponse(body, status=200 if is_ready else 503)
