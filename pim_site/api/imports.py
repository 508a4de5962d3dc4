"""CSV into a list, as the console takes it: looked at first, then put in force, all rows or none."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pim_site.ascode.plan import CHANGE, CREATE, Plan
from pim_site.imports import services
from pim_site.imports.rows import COLUMNS, LARGEST_FILE, SHOWN, check_import, read

from .base import Rows
from .fields import Input, Text

_COLUMNS = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in COLUMNS.items())


class ImportIn(Input):
    csv = Text(
        max_length=LARGEST_FILE, help_text=f"The file: a line with the heads of its columns, then the rows. {_COLUMNS}."
    )
    justification = Text(trim_whitespace=True, help_text="Why, for each of the rows.")
    validate_only = serializers.BooleanField(default=False)


class ChangeOut(serializers.Serializer[Any]):
    verb = serializers.ChoiceField([CREATE, CHANGE])
    name = serializers.CharField()
    line = serializers.IntegerField(help_text="Of the file; its first is 1.")
    details = serializers.ListField(child=serializers.CharField())


class ImportOut(serializers.Serializer[Any]):
    created = serializers.IntegerField(source="counts.create")
    changed = serializers.IntegerField(source="counts.change")
    changes = serializers.SerializerMethodField(help_text=f"The first {SHOWN} of them, in the order of their doing.")

    @extend_schema_field(ChangeOut(many=True))
    def get_changes(self, plan: Plan) -> Any:
        return ChangeOut(plan.changes[:SHOWN], many=True).data


class ImportsRows(Rows):
    """Rows that a CSV file adds to.

    Attributes:
        imports: the kind of its rows, of `COLUMNS`.
    """

    imports: ClassVar[str]

    @extend_schema(request=ImportIn, responses=ImportOut)
    def import_rows(self, request: Request) -> Response:
        """Make and change what a CSV file says, all of it or nothing. With `validate_only` nothing is stored."""
        check_import(self.actor, self.imports)
        said = self.read(ImportIn)
        document = read(self.imports, said["csv"].encode())
        work = services.plan_rows if said["validate_only"] else services.import_rows
        done = work(actor=self.actor, document=document, justification=said["justification"])
        return Response(ImportOut(done).data)
