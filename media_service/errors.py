"""The error table: every error a client can meet, with its class, stable code and HTTP status, said once.

`code` is part of the interface: clients switch on it, `docs/errors.md` lists it, and it never changes its meaning.
`detail` (the exception's text) is a sentence for a person. Errors that describe an asset (`MediaRejected` and
`TranscodeFailed`) also become the `error` of an asset whose state is `failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class MediaServiceError(Exception):
    """Base of all errors that have a place in the interface."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retry_after: ClassVar[int | None] = None  # seconds; becomes the Retry-After header (RFC 9110 s10.2.3)
    problem_type: ClassVar[str] = "about:blank"  # RFC 9457 s3.1.1: a URI where a specification names one

    @property
    def members(self) -> Mapping[str, int]:
        """What the problem says beyond title and detail (RFC 9457 s3.2)."""
        return {}

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


class Forbidden(MediaServiceError):
    """The API key is known, and may not do this."""

    code = "forbidden"
    status = 403
    title = "This key may not do that"


class CsrfRefused(MediaServiceError):
    """A request that changes something came with the panel's cookie, and does not prove that it came from the panel."""

    code = "csrf"
    status = 403
    title = "The request does not come from the panel"


class TooManyAttempts(MediaServiceError):
    """More wrong tokens at the panel's sign-in than a person types."""

    code = "too_many_attempts"
    status = 429
    title = "Too many attempts to sign in"
    retry_after = 60


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


class NameTaken(MediaServiceError):
    """Another API key that is not revoked has this name."""

    code = "name_taken"
    status = 409
    title = "There is a key of this name"


class NothingToRetry(MediaServiceError):
    """An asset or a rendition that is to be tried again, and of which all is made."""

    code = "nothing_to_retry"
    status = 409
    title = "There is nothing to try again"


class TargetRefused(MediaServiceError):
    """A webhook's address that lies in no public network."""

    code = "target_refused"
    status = 403
    title = "This address is not called"


class TooManyWebhooks(MediaServiceError):
    """As many webhooks as there may be."""

    code = "too_many_webhooks"
    status = 409
    title = "Too many webhooks"


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


# --- resumable uploads ------------------------------------------------------------------------------------------


class OffsetMismatch(MediaServiceError):
    """An append begins elsewhere than where the upload's bytes end (draft-ietf-httpbis-resumable-upload s7.1, tus PATCH)."""

    code = "offset_mismatch"
    status = 409
    title = "The upload stands at another offset"
    problem_type = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"

    def __init__(self, detail: str = "", *, expected: int | None = None, provided: int | None = None) -> None:
        super().__init__(*filter(None, (detail,)))
        self.expected = expected
        self.provided = provided

    @property
    def members(self) -> Mapping[str, int]:
        """Both offsets, under the names of the draft."""
        known = {"expected-offset": self.expected, "provided-offset": self.provided}
        return {name: offset for name, offset in known.items() if offset is not None}


class InconsistentLength(MediaServiceError):
    """Two statements of an upload's length that differ (draft-ietf-httpbis-resumable-upload s7.2)."""

    code = "inconsistent_length"
    status = 400
    title = "The upload has another length"
    problem_type = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"


class BeyondLength(MediaServiceError):
    """More bytes than the upload's length."""

    code = "beyond_length"
    status = 400
    title = "More bytes than the upload has"


class UploadEnded(MediaServiceError):
    """Nothing can be appended any more: all of the upload has arrived."""

    code = "upload_ended"
    status = 409
    title = "The upload is complete"


class FinalUpload(MediaServiceError):
    """An upload that is put together from others takes no bytes itself (tus, Concatenation)."""

    code = "final_upload"
    status = 403
    title = "The upload is put together from others"


class UploadTakenOver(MediaServiceError):
    """A newer request for the same upload came, so this one had to leave; its bytes so far are kept."""

    code = "upload_taken_over"
    status = 409
    title = "A newer request has taken the upload over"


class UploadPaused(UploadStalled):
    """The same of a resumable upload, whose bytes are kept. 503, because its clients take 408 for the end of it all."""

    code = "upload_paused"
    status = 503
    title = "The upload stands still"
    retry_after = 1


class TusVersionUnsupported(MediaServiceError):
    """`Tus-Resumable` is absent or none of our versions (tus, Core Protocol)."""

    code = "tus_version_unsupported"
    status = 412
    title = "This version of tus is not spoken here"


class ChecksumUnsupported(MediaServiceError):
    """`Upload-Checksum` names an algorithm that is not announced (tus, Checksum)."""

    code = "checksum_unsupported"
    status = 400
    title = "This checksum is not known here"


class ChecksumMismatch(MediaServiceError):
    """The body is not what its `Upload-Checksum` says; nothing of it is kept (tus, Checksum: 460)."""

    code = "checksum_mismatch"
    status = 460
    title = "The bytes do not have their checksum"


class DigestMismatch(MediaServiceError):
    """The body or the whole file is not what `Content-Digest` or `Repr-Digest` says (RFC 9530)."""

    code = "digest_mismatch"
    status = 400
    title = "The bytes do not have their digest"


class UploadQuota(MediaServiceError):
    """The key has as many unfinished uploads, or as many bytes in them, as it may."""

    code = "upload_quota"
    status = 429
    title = "Too many unfinished uploads"
    retry_after = 60


class TooManyUploads(MediaServiceError):
    """The key is sending as many files at the same time as it may."""

    code = "too_many_uploads"
    status = 429
    title = "Too many uploads at the same time"
    retry_after = 5


class TooManyTransforms(MediaServiceError):
    """As many files are being transformed as there may be, of this key or of all. Nobody waits in line."""

    code = "too_many_transforms"
    status = 429
    title = "Too many transforms at the same time"
    retry_after = 2


class TooManyExports(MediaServiceError):
    """As many exports are under way as there may be. Nobody waits in line."""

    code = "too_many_exports"
    status = 429
    title = "Too many exports at the same time"
    retry_after = 30


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


class TransformFailed(MediaServiceError):
    """Nothing could be made of a file that was to be transformed: it is damaged, or nothing lies where it was to begin."""

    code = "transform_failed"
    status = 422
    title = "The file could not be transformed"


class TransformTooLong(MediaServiceError):
    """A transform ran into TRANSFORM_MAX_SECONDS, on the way in, of processor time or by the clock, or stood still."""

    code = "transform_too_long"
    status = 422
    title = "The transform took too long"


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


# --- signed playback --------------------------------------------------------------------------------------------


class TokenInvalid(MediaServiceError):
    """A playback token that we did not sign, or that is for another asset."""

    code = "token_invalid"
    status = 403
    title = "This playback token is not valid"


class TokenExpired(MediaServiceError):
    """A playback token whose time is over. 410: no later request with it will do better (RFC 9110 s15.5.11)."""

    code = "token_expired"
    status = 410
    title = "This playback token has expired"


class TokenNotYet(MediaServiceError):
    """A playback token whose time has not begun."""

    code = "token_not_yet"
    status = 403
    title = "This playback token is not valid yet"


class OutsideWindow(MediaServiceError):
    """The token is for a part of the film, and what is asked for lies outside it or is not to be had in parts."""

    code = "outside_window"
    status = 403
    title = "Outside the part that may be played"


class PlaybackDenied(MediaServiceError):
    """The asset is played with a token, and the request has none, or none that goes as far."""

    code = "playback_denied"
    status = 403
    title = "This may not be played"


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


def remembered(code: str, detail: str) -> MediaServiceError:
    """The error that was kept by its code and its sentence; a code of another version is the base of them all."""
    kinds = [MediaServiceError]
    for kind in kinds:
        if kind.code == code:
            return kind(detail)
        kinds += kind.__subclasses__()
    return MediaServiceError(detail)
