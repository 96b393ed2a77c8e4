"""What the OpenAPI schema says of exports: the media types, and which columns there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from litestar.openapi.spec import OpenAPIHeader, OpenAPIMediaType, OpenAPIResponse

from media_service.web.exporting import CSV_COLUMNS, MEDIA_TYPES, MEMBERS, Format
from media_service.web.openapi import TEXT, ApiOperation


@dataclass
class ExportOperation(ApiOperation):
    """The whole list as one file."""

    kind: ClassVar[Format]
    columns: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in self.parameters or []:
            if getattr(parameter, "name", "") == "columns":
                parameter.description = f"Some of {', '.join(self.columns)}: divided by commas"
        self.responses = {
            **(self.responses or {}),
            "200": OpenAPIResponse(
                description="A line for each asset; the connection breaks off when the rest cannot be sent",
                headers={"Content-Disposition": OpenAPIHeader(schema=TEXT)},
                content={MEDIA_TYPES[self.kind].partition(";")[0]: OpenAPIMediaType(schema=TEXT)},
            ),
        }


class NdjsonOperation(ExportOperation):
    """Lines of JSON."""

    kind = "ndjson"
    columns = MEMBERS


class CsvOperation(ExportOperation):
    """Lines of CSV."""

    kind = "csv"
    columns = CSV_COLUMNS


OPERATIONS: dict[Format, type[ExportOperation]] = {"ndjson": NdjsonOperation, "csv": CsvOperation}
