"""What the OpenAPI schema says beyond what handlers' signatures tell: media, problems, who needs a key."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import (
    Components,
    OpenAPIFormat,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Schema,
    SecurityScheme,
    Server,
    Tag,
)

from media_service import __version__
from media_service.web.guards import public
from media_service.web.schema_page import SchemaPage

BINARY = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
TEXT = Schema(type=OpenAPIType.STRING)
_PROBLEM = OpenAPIResponse(
    description="What went wrong (RFC 9457); `code` is stable, docs/errors.md lists them",
    content={
        "application/problem+json": OpenAPIMediaType(
            schema=Schema(
                type=OpenAPIType.OBJECT,
                required=["type", "title", "status", "code"],
                properties={
                    "type": TEXT,
                    "title": TEXT,
                    "status": Schema(type=OpenAPIType.INTEGER),
                    "code": TEXT,
                    "detail": TEXT,
                },
            )
        )
    },
)


@dataclass
class ApiOperation(Operation):
    """An operation that wants a key; its errors are problems."""

    def __post_init__(self) -> None:
        self.responses = {
            status: response for status, response in (self.responses or {}).items() if status != "400"
        } | {"default": _PROBLEM}


@dataclass
class PublicOperation(ApiOperation):
    """An operation that needs no key."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.security = [{}]


@dataclass
class MediaOperation(PublicOperation):
    """Something that the range engine sends (docs/http.md)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = {"*/*": OpenAPIMediaType(schema=BINARY)}
        header = OpenAPIHeader(schema=TEXT)
        validators = {"ETag": header, "Accept-Ranges": header, "Cache-Control": header}
        self.parameters = [
            *(self.parameters or []),
            *(
                Parameter(name=name, param_in="header", schema=TEXT, required=False)
                for name in ("Range", "If-Range", "If-None-Match", "If-Match")
            ),
        ]
        self.responses = {
            "200": OpenAPIResponse(description="All of it", headers=dict(validators), content=whole),
            "206": OpenAPIResponse(
                description="The range, or several as multipart/byteranges",
                headers={**validators, "Content-Range": header},
                content=whole,
            ),
            "304": OpenAPIResponse(description="Not modified", headers=dict(validators)),
            "default": _PROBLEM,
        }


def openapi_config() -> OpenAPIConfig:
    """The schema at /schema/openapi.json and its page at /schema, which loads nothing from elsewhere."""
    return OpenAPIConfig(
        title="media_service",
        version=__version__,
        description="Upload a video; seek anywhere in it, at once, exactly, on any player.",
        openapi_router=Router("/schema", route_handlers=[], guards=[public], include_in_schema=False),
        render_plugins=[SchemaPage()],
        use_handler_docstrings=True,
        components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"key": []}],
        servers=[Server(url="/")],
        tags=[
            Tag("assets", "Upload, list, look at, rename, delete"),
            Tag("uploads", "Resumable uploads, by tus 1.0.0 and by the IETF draft (docs/uploads.md)"),
            Tag("transforms", "A file in, another one out, nothing kept (docs/transform.md)"),
            Tag("keys", "Who else may do what (docs/security.md)"),
            Tag("webhooks", "Who is told of what happens, and what came of the telling (docs/webhooks.md)"),
            Tag("events", "What changes, as it changes"),
            Tag("playback", "What players fetch; no key needed (docs/signed-playback.md)"),
            Tag("operations", "For probes"),
        ],
    )
