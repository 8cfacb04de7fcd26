"""All settings; what differs between machines comes from the environment.

The file is long because it is one thing to look through. Each variable stands in docs/reference/settings.md; a test
compares the two. ENVIRONMENT=production (the default of servers) refuses to start with a default secret, with DEBUG, or
with an embedded part that only fits one process.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from ota_console.core.logs import configuration as log_configuration
from ota_console.env import DatabaseUrl, Environment
from packages_app import limits as upload_limits

django_stubs_ext.monkeypatch()  # so that Django's classes take type arguments at run time, as mypy wants them
env = Environment()
BASE_DIR = Path(__file__).resolve().parent.parent

# --------------------------------------------------------------------------------------------------------- what it is
ENVIRONMENT = env.choice("ENVIRONMENT", ("production", "development", "demo", "test"), "production")
IS_PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.boolean("DEBUG", default=False)

SHORTEST_SECRET = 20
DEFAULT_SECRET_KEY = "a-key-for-development-that-protects-nothing-and-production-refuses"  # noqa: S105 production refuses it
DEFAULT_BROKER_SECRET = "broker-secret-for-development"  # noqa: S105 refused in production
SECRET_KEY = env.text("SECRET_KEY", DEFAULT_SECRET_KEY)
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
BROKER_SECRET = env.text("BROKER_SECRET", DEFAULT_BROKER_SECRET)
"""Shared with the broker: header X-Broker-Secret of its log-in, rights and presence calls."""

# ------------------------------------------------------------------------------------------------------------ addresses
PUBLIC_URL = env.url("PUBLIC_URL", "http://127.0.0.1:8000", schemes=("http", "https"))
DOWNLOAD_URL = env.url("DOWNLOAD_URL", PUBLIC_URL, schemes=("http", "https"))
"""What devices are told to download from; free of a port if the fleet's SDK needs that."""
REDIS_URL = env.url("REDIS_URL", "redis://127.0.0.1:6379/0", schemes=("redis", "rediss", "memory"))
MQTT_URL = env.url("MQTT_URL", "mqtt://127.0.0.1:1883", schemes=("mqtt", "mqtts"))
"""The broker as the gateway and the workers reach it, with user and password if it asks for them."""
MQTT_CA_FILE = env.text("MQTT_CA_FILE", "")
"""The certificate that signed the broker's, for mqtts://; empty: those that the system trusts."""
PRESENCE_SILENCE_MINUTES = env.integer("PRESENCE_SILENCE_MINUTES", 0)
"""For brokers that tell no presence: a device that said nothing for so long counts as offline; 0: the broker tells."""
GATEWAY_CLIENT_ID = env.text("GATEWAY_CLIENT_ID", "ota-gateway")
"""Names the gateway's session in the broker: one name for the active gateway and its standbys, another per fleet."""

_public = urlsplit(PUBLIC_URL)
_download = urlsplit(DOWNLOAD_URL)
IS_HTTPS = _public.scheme == "https"
ALLOWED_HOSTS = env.words(
    "ALLOWED_HOSTS", (_public.hostname or "", _download.hostname or "", "localhost", "127.0.0.1", "[::1]")
)
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]

# ------------------------------------------------------------------------------------------------------------- storage
DATA_DIR = env.path("DATA_DIR", BASE_DIR / "data")
MEDIA_ROOT = env.path("MEDIA_ROOT", DATA_DIR / "media")
MEDIA_URL = "/media/"
STATIC_ROOT = env.path("STATIC_ROOT", BASE_DIR / "staticfiles")
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "ota_console.web.finders.NodePackagesFinder",
]
NODE_MODULES = env.path("NODE_MODULES", BASE_DIR / "node_modules")
HAS_HASHED_STATIC_FILES = ENVIRONMENT in {"production", "demo"} and not DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "ota_console.web.storage.HashedFilesStorage"
        if HAS_HASHED_STATIC_FILES
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
"""Bytes of a form without its files; files stream to disk."""
MOST_BODY_BYTES = 12 * 1024 * 1024
"""Of any request: device lists are the largest, with 5 MB, beside a form."""
UPLOAD_PATHS = ("/ota/packages/new/", "/api/v1/packages/")
MOST_UPLOAD_BYTES = upload_limits.MAX_REQUEST_BYTES
"""At the two addresses that take update packages; deploy/nginx says the same."""
OPEN_PATHS = ("/login/", "/admin/login/", "/api/v1/auth/", "/auth/", "/broker/", "/healthz", "/readyz")
"""Who sends something there has not signed in, so a body is small; a test compares them with the addresses."""
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]

# ------------------------------------------------------------------------------------------------------------ database
DATABASE_POOL_SIZE = env.integer("DATABASE_POOL_SIZE", 0, maximum=1000)
"""PostgreSQL connections kept by each process; 0: one a thread, kept for a minute."""


def _sqlite(url: DatabaseUrl) -> dict[str, Any]:
    """One writer at a time that never fails for a lock: IMMEDIATE transactions, WAL, 20 s of patience."""
    path = BASE_DIR / url.name
    if url.name != ":memory:":
        path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": url.name if url.name == ":memory:" else path,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def _postgresql(url: DatabaseUrl) -> dict[str, Any]:
    """Statements that carry thousands of rows (`core.db.bulk_cursor`) are planned once a connection; no others are."""
    options: dict[str, Any] = {**url.options, "prepare_threshold": 2}
    if DATABASE_POOL_SIZE:
        options["pool"] = {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 20}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.name,
        "USER": url.user,
        "PASSWORD": url.password,
        "HOST": url.host,
        "PORT": url.port,
        "CONN_MAX_AGE": 0 if DATABASE_POOL_SIZE else 60,
        "CONN_HEALTH_CHECKS": not DATABASE_POOL_SIZE,
        "OPTIONS": options,
    }


_database = env.database("DATABASE_URL", f"sqlite:///{DATA_DIR / 'ota.sqlite3'}")
DATABASES = {"default": _sqlite(_database) if _database.scheme == "sqlite" else _postgresql(_database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---------------------------------------------------------------------------------------------------------------- rooms
INSTALLED_APPS = [
    "ota_console",
    "ota_console.core",
    "ota_console.accounts",
    "ota_console.outbox",
    "ota_console.gateway",
    "ota_console.audit",
    "ota_console.web",
    "ota_console.ops",
    "devices_app",
    "packages_app",
    "batches_app",
    "unfold",
    "django.contrib.admin.apps.SimpleAdminConfig",  # urls.py discovers the admin: no other process needs it
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "django_htmx",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "axes",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "ota_console.web.bodies.body_limits",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",  # it reads the form, so who sends it is asked before
    "ota_console.accounts.middleware.PreferencesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "ota_console.web.errors.DomainErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "ota_console.urls"
ASGI_APPLICATION = "ota_console.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
INSTALLED_APPS += ["django.forms"]  # its templates, which TemplatesSetting looks for

# -------------------------------------------------------------------------------------------------------------- people
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
if ENVIRONMENT == "test":
    PASSWORD_HASHERS.insert(0, "django.contrib.auth.hashers.MD5PasswordHasher")  # a slow hash proves nothing in a test
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = env.integer("SIGN_IN_ATTEMPTS", 5, minimum=1)
"""Wrong passwords for one name from one address, in the console, its admin and the API together."""
AXES_COOLOFF_TIME = timedelta(minutes=env.integer("SIGN_IN_WAIT_MINUTES", 15, minimum=1))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
"""Not the name alone: a stranger could keep its owner out."""
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_CALLABLE = "ota_console.accounts.lockout.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# ------------------------------------------------------------------------------------------------- words, time, numbers
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
DISPLAY_TIME_ZONE = env.text("DISPLAY_TIME_ZONE", "UTC")
"""The zone of people who have chosen none; everything is stored in UTC."""
USE_TZ = True
USE_I18N = True

# ------------------------------------------------------------------------------------------------------------- security
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_HTTPONLY = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", default=IS_HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^broker/", r"^download/"]
"""Health checks and brokers stand behind the proxy; some devices cannot do TLS for downloads."""
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 31_536_000 if IS_HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
SECURE_HSTS_PRELOAD = IS_HTTPS
X_FRAME_OPTIONS = "DENY"

# ----------------------------------------------------------------------------------------------------------------- API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "ota_console.web.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "ota_console.web.openapi.ProblemSchema",
    "EXCEPTION_HANDLER": "ota_console.web.errors.problem_response",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OTA Console API",
    "DESCRIPTION": "Products, devices, update packages, batches and tasks.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "StaticOrDynamic": ["STATIC", "DYNAMIC"],
        "PackageKind": ["FULL", "DELTA"],
        "PackageStatus": ["VERIFICATION_NOT_REQUIRED", "NOT_VERIFIED", "VERIFIED", "VERIFYING", "VERIFICATION_FAILED"],
        "BatchKind": ["VERIFY", "UPDATE"],
        "BatchStatus": ["PLANNED", "IN_PROGRESS", "COMPLETED", "CANCELED"],
        "TaskStatus": ["CONFIRM", "QUEUED", "NOTIFIED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "CANCELED"],
        "CancelableStatus": ["CONFIRM", "QUEUED", "NOTIFIED", "IN_PROGRESS"],
        "RateKind": ["CONSTANT", "VARIABLE"],
        "RowOutcome": ["created", "exists", "invalid"],
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# -------------------------------------------------------------------------------------------------------- live and jobs
_has_redis = not REDIS_URL.startswith("memory:")


def channel_layer(url: str) -> dict[str, Any]:
    """Groups of live pages in a Redis-protocol server. A reader waits 5 s for a message: the socket must outwait it."""
    hosts = [{"address": url, "socket_timeout": 20}]
    config = {"hosts": hosts, "prefix": "ota"}
    return {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": config}


CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": channel_layer(REDIS_URL) if _has_redis else {"BACKEND": "channels.layers.InMemoryChannelLayer"},
}

CELERY_BROKER_URL = REDIS_URL if _has_redis else "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"visibility_timeout": 3600, "global_keyprefix": "ota-jobs:"}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False
"""Work is resumed by beat from database rows, so a queued message is a short cut and may be lost."""
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
"""Touches tasks that are acknowledged late, so none of ours; unset, each worker would log a paragraph about it."""
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_ROUTES = {
    "batches_app.dispatch": {"queue": "dispatch"},
    "outbox.relay": {"queue": "relay"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 2.0
"""Seconds that a long-running loop gets at SIGQUIT; whatever it holds is a lease that expires."""
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
"""In memory: nothing to lose, since each entry is a cheap question to the database."""


def _every(seconds: float, task: str) -> dict[str, Any]:
    """Each entry dies unread when the next ones are due, so that a stopped worker finds no heap of them."""
    return {"task": task, "schedule": seconds, "options": {"expires": max(2 * seconds, 5.0)}}


CELERY_BEAT_SCHEDULE = {
    "dispatch": _every(5.0, "batches_app.dispatch"),
    "sweep": _every(1.0, "batches_app.sweep"),
    "match": _every(1.0, "batches_app.match"),
    "resume": _every(5.0, "batches_app.resume"),
    "reconcile": _every(300.0, "batches_app.reconcile"),
    "sweep_uploads": _every(3600.0, "packages_app.sweep_uploads"),
    "relay": _every(5.0, "outbox.relay"),
    "heartbeat": _every(5.0, "core.heartbeat"),
}

# ---------------------------------------------------------------------------------------------------------------- logs
LOG_LEVEL = env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
LOG_FORMAT = env.choice("LOG_FORMAT", ("text", "json"), "text")
LOGGING = log_configuration(LOG_LEVEL, LOG_FORMAT)


# --------------------------------------------------------------------------------------------------- production's gate
def _is_weak(secret: str, default: str) -> bool:
    return secret == default or len(secret) < SHORTEST_SECRET


def _refuse_unsafe_production() -> None:
    reasons = {
        "Set SECRET_KEY to a long random text.": _is_weak(SECRET_KEY, DEFAULT_SECRET_KEY),
        "Set BROKER_SECRET to a long random text.": _is_weak(BROKER_SECRET, DEFAULT_BROKER_SECRET),
        "Set DEBUG=0.": DEBUG,
        "Set REDIS_URL to a Redis server.": not _has_redis,
    }
    found = [sentence for sentence, is_wrong in reasons.items() if is_wrong]
    if IS_PRODUCTION and found:
        raise ImproperlyConfigured(f"This is ENVIRONMENT=production and it is not safe to start. {' '.join(found)}")


_refuse_unsafe_production()
