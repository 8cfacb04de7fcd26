"""Half of each page of tasks stays free on PostgreSQL, so that reports of progress are written beside the row they replace.

A rollout updates all tasks of a page again and again. Without room each update moves the row and touches every index, at
five times the cost (hot path).
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_room(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE batches_app_task SET (fillfactor = 50)")


def fill_pages(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE batches_app_task RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("batches_app", "0001_initial")]
    operations = [migrations.RunPython(leave_room, fill_pages, elidable=False)]
