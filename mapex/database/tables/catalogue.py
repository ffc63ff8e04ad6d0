"""What is given: uploads, jobs, datasets, versions, layers, tiles, findings, previews."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from mapex.database.tables.columns import id_column, metadata, quantities, ref

upload = Table(
    "upload",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),
    ref("person_id", "person.id"),
    Column("name", Text, nullable=False),  # the uploader's name for it, a relative path for files of a folder
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),  # promised by the client or null; the worker checks the truth
    Column("part_size", BigInteger, nullable=False),
    Column("store_key", String(255), nullable=False, unique=True),
    Column("store_upload_id", String(1024), nullable=False),
    Column("state", String(16), nullable=False),  # open | complete | aborted | removed
    Column("created_ns", BigInteger, nullable=False),
    Column("completed_ns", BigInteger),
)

job = Table(
    "job",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("seq", BigInteger, nullable=False, unique=True),  # within its organisation: first come, first served
    Column("kind", String(32), nullable=False),  # ingest
    ref("org_id", "organisation.id", index=True),
    ref("person_id", "person.id"),
    ref("version_id", "dataset_version.id", nullable=True, index=True),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),  # queued | running | done | failed | cancelled
    Column("attempts", Integer, nullable=False, server_default="0"),  # the fencing token: a later attempt outdates an earlier one
    Column("attempt_limit", Integer, nullable=False),  # raised by a retry; `attempts` only ever grows
    Column("worker", String(255)),
    Column("run_at_ns", BigInteger, nullable=False),
    Column("lease_until_ns", BigInteger),
    Column("cancel", Integer, nullable=False, server_default="0"),
    Column("progress", Text, nullable=False, server_default="{}"),
    Column("error", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("finished_ns", BigInteger),
    Column("claimed_ns", BigInteger),  # when a worker took it last
    Index("ix_job_queue", "state", "run_at_ns"),
    Index("ix_job_claimed", "org_id", "claimed_ns"),
)

dataset = Table(
    "dataset",
    metadata,
    id_column(),
    ref("org_id", "organisation.id", index=True),
    Column("slug", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("created_ns", BigInteger, nullable=False),
    Column("removed_ns", BigInteger),  # by its seller, while no version was ever on sale; made again, it is there again
    UniqueConstraint("org_id", "slug"),
)

dataset_version = Table(
    "dataset_version",
    metadata,
    id_column(),
    ref("dataset_id", "dataset.id"),
    Column("number", Integer, nullable=False),
    # ingesting, failed (its job did; retry), cancelled (its job was), unplaced (waits for an answer), rejected (errors block it),
    # draft (ready), published, superseded, withdrawn, recalled; removed (by its seller, never on sale: only its number is left)
    Column("state", String(16), nullable=False),
    Column("parent_id", String(40)),
    Column("request", Text, nullable=False),  # JSON: uploads, classes, placement given, names of files left out
    Column("manifest", Text),  # canonical JSON: sources, layers, counts, tool versions; tiles by digest
    Column("manifest_sha256", String(64)),
    Column("created_ns", BigInteger, nullable=False),
    Column("published_ns", BigInteger),
    UniqueConstraint("dataset_id", "number"),
)

layer = Table(
    "layer",
    metadata,
    id_column(),
    ref("version_id", "dataset_version.id"),
    Column("name", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # LayerKind
    Column("content", String(16), nullable=False),  # Content
    Column("handling_class", String(16)),  # open | restricted | pseudonymised | original; null cannot be published
    Column(
        "about", Text, nullable=False
    ),  # JSON: crs, crs_source, height_datum, box, counts {read, placed, unplaced, rejected}, captured_from/to_ns, quality
    Column("cells", Integer, nullable=False, server_default="0"),
    *quantities(),
    Column("accuracy_mm", Integer),  # as stated when it was published; null: nobody did (mapex.rules.accuracy)
    UniqueConstraint("version_id", "name"),
)

tile = Table(
    "tile",
    metadata,
    ref("layer_id", "layer.id"),
    Column("cell", BigInteger, nullable=False),
    Column("part", Integer, nullable=False),
    Column("object_key", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("west", Float, nullable=False),
    Column("south", Float, nullable=False),
    Column("east", Float, nullable=False),
    Column("north", Float, nullable=False),
    *quantities(),
    UniqueConstraint("layer_id", "cell", "part"),
    Index("ix_tile_object_key", "object_key"),
)

finding = Table(
    "finding",
    metadata,
    id_column(),
    ref("version_id", "dataset_version.id", index=True),
    Column("ordinal", Integer, nullable=False),
    Column("severity", String(8), nullable=False),  # error | warning | info
    Column("code", String(64), nullable=False),
    Column("file", Text, nullable=False),
    Column("layer", Text, nullable=False),
    Column("feature", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("lon", Float),
    Column("lat", Float),
    Column("count", Integer, nullable=False, server_default="1"),
)

# What may be looked at before buying. Made of a layer at ingest; whether it is shown is decided each time (`mapex.catalogue.previews`).
preview = Table(
    "preview",
    metadata,
    ref("layer_id", "layer.id"),
    Column("kind", String(16), nullable=False),  # facts | names | attributes | teaser | cloud | still | strip | clip
    Column("ordinal", Integer, nullable=False),  # of the pictures of a strip; else 0
    Column("object_key", String(255)),  # null: all of it is in `about`
    Column("sha256", String(64), nullable=False),  # "" without object
    Column("media_type", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("about", Text, nullable=False),  # JSON, by kind
    UniqueConstraint("layer_id", "kind", "ordinal"),
    Index("ix_preview_object_key", "object_key"),
)
