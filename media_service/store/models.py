"""The catalog's tables, for SQLite and PostgreSQL alike. The migrations make them out of older ones; a test holds both equal.

Of a partial index only SQLite's condition is said here: to name PostgreSQL's would load all of that dialect at each start
(2 MB, 30 ms). There the migrations make the tables, and they say it.

States are text without a CHECK: later versions add some, and SQLite rebuilds a table to change a constraint.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

# Every constraint has a name that a migration can use: databases invent different ones.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

assets = Table(
    "assets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("search_text", Text, nullable=False),  # title and file name, case-folded: SQLite folds ASCII only
    Column("title_key", Text, nullable=False, server_default=text("''")),  # what titles are sorted by
    Column("extension", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("facts", LargeBinary),
    Column("duration_seconds", Float(53)),
    Column("width", Integer),
    Column("height", Integer),
    Column("codecs", Text),
    Column("original_layout", LargeBinary),
    Column("seekability", LargeBinary),
    Column("has_poster", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", Text),  # name of the API key that it came with
    Column("idempotency_key", Text),
    Column("visibility", Text),  # NULL: as the settings say
    Column("previews", LargeBinary),
    Column("clip", Text),  # empty: there can be none, NULL: not made yet
    Column("animation", Text),
    Column("waveform", Text),
    Column(
        "clip_attempts", Integer, nullable=False, server_default=text("0")
    ),  # at them, that never came to an end
    Column("poster_time", Float(53)),  # NULL: the service chooses
    Column("poster_version", Text),
    Column("placeholder", LargeBinary),
    Index(None, "created_at", "id"),  # the order of the list
    Index(None, "state", "created_at", "id"),  # ... of one state; also finds the unfinished
    *(
        Index(None, *state, column, "id")  # its other orders
        for column in ("title_key", "duration_seconds", "size")
        for state in ((), ("state",))
    ),
    Index(None, "sha256", "size"),  # finds twins
    Index(None, "owner", "idempotency_key", unique=True),  # those without a key differ: NULLs are never equal
)

renditions = Table(
    "renditions",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),  # in the outline's order
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("packaged", Boolean, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("frame_rate", Float(53)),
    Column("channels", Integer),
    Column("language", Text),
    Column("label", Text),
    Column("codecs", Text, nullable=False),
    Column("bandwidth", BigInteger, nullable=False),
    Column("average_bandwidth", BigInteger, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("made_segments", Integer, nullable=False),
    Column("init", LargeBinary),
    Column("layout", LargeBinary),
    ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
)

segments = Table(
    "segments",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("blob", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("payload_start", BigInteger, nullable=False),
    Column("iframe_size", BigInteger, nullable=False),
    Column("begin_ticks", BigInteger, nullable=False),
    Column("samples", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["asset_id", "rendition"], ["renditions.asset_id", "renditions.name"], ondelete="CASCADE"
    ),
)

failures = Table(
    "failures",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempts", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    ForeignKeyConstraint(
        ["asset_id", "rendition"], ["renditions.asset_id", "renditions.name"], ondelete="CASCADE"
    ),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("title", Text),
    Column("metadata", Text, nullable=False),
    Column("concat", Text, nullable=False),
    Column("concat_header", Text, nullable=False),
    Column("length", BigInteger),
    Column("offset", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("repr_digests", LargeBinary, nullable=False),
    Column("idempotency_key", Text),
    Column("asset_id", Text),  # no foreign key: the upload is remembered when its asset is deleted
    Column("sha256", Text),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("holder", Text),
    Column("held_until", BigInteger, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Index(None, "owner", "idempotency_key", unique=True),
    Index(None, "state", "owner"),  # the open ones: counted with each new one, looked for at each start
    Index(None, "expires_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of the key, lower-case hexadecimal
    Column("scopes", Text, nullable=False),  # sorted, joined by commas
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index(None, "digest", unique=True),
    # A name is free again when its key is revoked.
    Index(
        None,
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
    ),
)

panel_sessions = Table(
    "panel_sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("key_id", Text, nullable=False),  # no foreign key: the admin token is in no table
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # as it is: deliveries are signed with it
    Column("events", Text, nullable=False),  # sorted, joined by commas
    Column("created_at", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column(
        "asset_id", Text, nullable=False
    ),  # no foreign key: what happened is told, also of what is deleted
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], ondelete="CASCADE"),
    Index(None, "webhook_id", "created_at", "id"),  # the order of the list
    Index(
        None,
        "webhook_id",
        "next_at",
        sqlite_where=text("state = 'waiting'"),
    ),
    Index(None, "ended_at"),
)

previews = Table(
    "previews",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("header_size", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("film_us", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),  # of the tiles; 0: there is no pack yet
    Column("tiles", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),  # at making it, since it last grew
    Column("swept", Boolean, nullable=False),  # the blobs of those before it are deleted
    ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
)

events = Table(
    "events",
    metadata,
    # AUTOINCREMENT: clients come back with the number of the last one that they saw, so none is ever given twice.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event", Text, nullable=False),
    Column("asset_id", Text, nullable=False),  # no foreign key: deletions are told, too
    Column("at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

history = Table(
    "history",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # the order of things
    Column("asset_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("code", Text),
    Column("detail", Text),
    ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
    Index(None, "asset_id", "number"),
)
