"""What the OpenAPI schema says of transforms: the operations, as fields of a form and of the query."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Parameter,
    RequestBody,
    Schema,
)

from media_service.web.openapi import BINARY, ApiOperation
from media_service.wire.transforms import (
    MAX_BLUR,
    MAX_FPS,
    MAX_SECONDS,
    MAX_SIDE,
    NAMES,
    RESULTS,
    SYNONYMS,
)

_SIDE = Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_SIDE)
_SWITCH = Schema(type=OpenAPIType.BOOLEAN)
_SCHEMAS = {
    "format": Schema(type=OpenAPIType.STRING, enum=[*RESULTS, *SYNONYMS]),
    "width": _SIDE,
    "height": _SIDE,
    "start": Schema(type=OpenAPIType.NUMBER, minimum=0, maximum=MAX_SECONDS),
    "duration": Schema(type=OpenAPIType.NUMBER, minimum=0.001, maximum=MAX_SECONDS),
    "blur": Schema(type=OpenAPIType.NUMBER, minimum=0, maximum=MAX_BLUR),
    "grayscale": _SWITCH,
    "rotate": Schema(type=OpenAPIType.INTEGER, enum=[0, 90, 180, 270]),
    "fps": Schema(type=OpenAPIType.NUMBER, minimum=0.1, maximum=MAX_FPS),
    "mute": _SWITCH,
    "audio_only": _SWITCH,
}
_WORDS = {
    "format": "What comes out; without it, what went in: a film as mp4, sound alone as m4a",
    "width": "Pixels of the result; with `height` too, as large as fits into both",
    "height": "Pixels of the result",
    "start": "Seconds of the film before the result begins",
    "duration": "Seconds of the result, at most",
    "blur": "Standard deviation, in pixels of the result",
    "grayscale": "Without colour",
    "rotate": "Degrees clockwise",
    "fps": "Frames per second; of a GIF 10 without it, and 50 at most",
    "mute": "Without sound",
    "audio_only": "Sound alone, as m4a unless `format` is mp3",
}


@dataclass
class TransformOperation(ApiOperation):
    """A file in, another one out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        operations = {name: _SCHEMAS[name] for name in NAMES}
        form = Schema(
            type=OpenAPIType.OBJECT,
            required=["file"],
            properties={"file": BINARY, **operations},
            additional_properties=False,
        )
        self.parameters = [
            *(self.parameters or []),
            *(
                Parameter(
                    name=name, param_in="query", schema=schema, required=False, description=_WORDS[name]
                )
                for name, schema in operations.items()
            ),
        ]
        self.request_body = RequestBody(
            content={
                "multipart/form-data": OpenAPIMediaType(schema=form),
                "application/octet-stream": OpenAPIMediaType(schema=BINARY),
            },
            required=True,
        )
        kinds = dict.fromkeys(result.media_type for result in RESULTS.values())
        self.responses = {
            **(self.responses or {}),
            "200": OpenAPIResponse(
                description="The result, while it is made: with a length when that is known, else in chunks",
                content={kind: OpenAPIMediaType(schema=BINARY) for kind in kinds},
            ),
        }
