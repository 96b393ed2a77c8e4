"""The error table: every error a client can meet, with its class, stable code and HTTP status, said once.

`code` is part of the interface: clients switch on it, `docs/errors.md` lists it, and it never changes its meaning.
`detail` (the exception's text) is a sentence for a person. Errors that describe an asset (`MediaRejected` and
`TranscodeFailed`) also become the `error` of an asset whose state is `failed`.
"""

from __future__ import annotations

from typing import ClassVar


class MediaServiceError(Exception):
    """Base of all errors that have a place in the interface."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retry_after: ClassVar[int | None] = None  # seconds; becomes the Retry-After header (RFC 9110 s10.2.3)

    @property
    def detail(self) -> str:
        """One sentence for a person; empty when the title says it all."""
        return str(self)


# --- the request ----------------------------------------------------------------------------------------------


class InvalidRequest(MediaServiceError):
    """A parameter, header or body is not of the documented form."""

    code = "invalid_request"
    status = 400
    title = "The request is not valid"


class MalformedForm(MediaServiceError):
    """A multipart/form-data body that does not parse (RFC 7578), or lacks the `file` field."""

    code = "malformed_form"
    status = 400
    title = "The form could not be read"


class UploadCut(MediaServiceError):
    """The body ended before its announced length. Nobody is left to read this answer; it goes to the log."""

    code = "upload_cut"
    status = 400
    title = "The upload ended early"


class Unauthorized(MediaServiceError):
    """No API key, or one we do not know."""

    code = "unauthorized"
    status = 401
    title = "An API key is needed"


class NotFound(MediaServiceError):
    """No such asset, rendition, segment or page."""

    code = "not_found"
    status = 404
    title = "Not found"


class MethodNotAllowed(MediaServiceError):
    """The resource exists but does not take this method (RFC 9110 s15.5.6)."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"


class UploadStalled(MediaServiceError):
    """No byte of an upload arrived for the idle time-out."""

    code = "upload_stalled"
    status = 408
    title = "The upload stalled"


class PreconditionFailed(MediaServiceError):
    """If-Match or If-Unmodified-Since does not hold (RFC 9110 s13.1)."""

    code = "precondition_failed"
    status = 412
    title = "A precondition does not hold"


class UploadTooLarge(MediaServiceError):
    """More bytes than MAX_UPLOAD_BYTES."""

    code = "upload_too_large"
    status = 413
    title = "The upload is too large"


class RequestTooLarge(MediaServiceError):
    """A body that is no upload and larger than any such body need be. nginx in front says the same."""

    code = "request_too_large"
    status = 413
    title = "The request is too large"


class UnsupportedBody(MediaServiceError):
    """A request body of a media type that this route does not read."""

    code = "unsupported_body"
    status = 415
    title = "This kind of body is not read here"


class RangeNotSatisfiable(MediaServiceError):
    """No byte of the representation lies in the ranges asked for (RFC 9110 s15.5.17)."""

    code = "range_not_satisfiable"
    status = 416
    title = "The range lies outside the representation"


# --- what was uploaded ----------------------------------------------------------------------------------------


class MediaRejected(MediaServiceError):
    """Base of what can be wrong with an uploaded file."""

    code = "media_rejected"
    status = 422
    title = "The file cannot be used"


class EmptyUpload(MediaRejected):
    """Zero bytes."""

    code = "empty_upload"
    title = "The file is empty"


class NotMedia(MediaRejected):
    """No container that we open, or one without a video or audio track that can be decoded."""

    code = "not_media"
    title = "The file is not a video"


class EncryptedMedia(MediaRejected):
    """Protected by DRM: no key, no picture."""

    code = "encrypted_media"
    title = "The file is encrypted"


class TruncatedMedia(MediaRejected):
    """The file's own tables point beyond its end."""

    code = "truncated_media"
    title = "The file is cut off"


class BrokenMedia(MediaRejected):
    """The file's own tables contradict each other."""

    code = "broken_media"
    title = "The file is damaged"


class AbsurdMedia(MediaRejected):
    """More streams, pixels or hours than anything real has."""

    code = "absurd_media"
    title = "The file claims more than anything real has"


# --- what is made of it ---------------------------------------------------------------------------------------


class TranscodeFailed(MediaServiceError):
    """Base of what can go wrong while a rendition is made."""

    code = "transcode_failed"
    status = 500
    title = "The video could not be converted"


class TranscodeStalled(TranscodeFailed):
    """ffmpeg made no progress for longer than the watchdog allows."""

    code = "transcode_stalled"
    title = "The conversion stalled"


class TranscodeTooLong(TranscodeFailed):
    """ffmpeg ran into its wall-clock, CPU or size limit."""

    code = "transcode_too_long"
    title = "The conversion took too long"


class TranscodeIncomplete(TranscodeFailed):
    """What came out does not have the duration or the frames of what went in."""

    code = "transcode_incomplete"
    title = "The conversion lost a part of the film"


class TranscodeCrashed(TranscodeFailed):
    """Each attempt ended with the end of the whole service: most likely it took all the memory there is."""

    code = "transcode_crashed"
    title = "The conversion took the service down"


class RunDiffers(TranscodeFailed):
    """A run's init segment is not that of the runs before it: players that have the one cannot decode the other."""

    code = "run_differs"
    title = "The conversion came out otherwise than before"


class SegmentFailed(MediaServiceError):
    """A segment that could not be made, however often it was tried. 404, not 5xx: asking again does not help."""

    code = "segment_failed"
    status = 404
    title = "This part of the film could not be converted"


class ConverterKilled(MediaServiceError):
    """Something outside killed ffmpeg or ffprobe: the kernel, mostly, for want of memory. No fault of the film."""

    code = "converter_killed"
    status = 503
    title = "The conversion was ended from outside"
    retry_after = 30


# --- the service ----------------------------------------------------------------------------------------------


class NotReady(MediaServiceError):
    """The thing exists but is not made yet. 503, never 202: players treat 202 as an error or as an empty body."""

    code = "not_ready"
    status = 503
    title = "Not made yet"
    retry_after = 2


class Busy(MediaServiceError):
    """No memory budget left and no other way to take the bytes."""

    code = "busy"
    status = 503
    title = "The service is busy"
    retry_after = 10


class CatalogUnavailable(MediaServiceError):
    """The database cannot be read or written: broken, gone, or not answering."""

    code = "catalog_unavailable"
    status = 503
    title = "The catalog cannot be reached"
    retry_after = 10


class ShuttingDown(MediaServiceError):
    """The service stops, and the upload did not end within SHUTDOWN_SECONDS. Nothing of it is kept."""

    code = "shutting_down"
    status = 503
    title = "The service is stopping"
    retry_after = 10


class StorageFull(MediaServiceError):
    """No room on the disk."""

    code = "storage_full"
    status = 507
    title = "The storage is full"
    retry_after = 60
