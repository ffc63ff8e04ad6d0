"""Settings: one frozen dataclass, read once from `<dir>/mapex.toml` and the environment, never at import time.

Order: default < file < environment variable (`MAPEX_` + the name in capitals). Every secret may also come from a file that
`MAPEX_<NAME>_FILE` names. Unknown keys are errors, in the file and in the environment.
"""

from __future__ import annotations

import difflib
import os
import secrets
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from mapex.errors import Conflict, Invalid
from tiles.store.folder import make_private

FILE_NAME = "mapex.toml"
MIB = 1024 * 1024
CAGES = ("auto", "bubblewrap", "rlimits")
MIN_S3_PART = 5 * MIB  # S3 refuses smaller parts, the last excepted

NOT_SETTINGS = frozenset({"MAPEX_URL", "MAPEX_TOKEN", "MAPEX_PATIENCE", "MAPEX_FAILPOINT"})
"""Variables of the same prefix that belong to the client (URL, TOKEN, PATIENCE) and to fault tests (FAILPOINT); `MAPEX_TEST_*` too."""


def _s(default: Any, text: str, *, secret: bool = False, choices: tuple[str, ...] = (), least: int | None = None) -> Any:
    return field(default=default, metadata={"help": text, "secret": secret, "choices": choices, "least": least})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Empty text means "not set": then the help text names the default, or `load` fills it in."""

    dir: Path = _s(Path(), "folder of the exchange: settings file, SQLite database, directory store")
    database_url: str = _s("", "SQLAlchemy URL, sqlite or postgresql; default sqlite:///<dir>/mapex.db", secret=True)
    database_owner_url: str = _s(
        "", "PostgreSQL URL of the role that owns the tables; for `mapex init` alone, not for services", secret=True
    )
    store: str = _s("directory", "object store: a local directory, or MinIO / any S3", choices=("directory", "minio"))
    store_dir: Path = _s(Path(), "folder of the directory store; default <dir>/objects")
    store_endpoint: str = _s("", "host:port of MinIO")
    store_secure: bool = _s(True, "speak TLS to MinIO")
    store_region: str = _s("us-east-1", "S3 region; given, signing needs no request")
    store_bucket_prefix: str = _s("mapex", "buckets are <prefix>-staging and <prefix>-data")
    store_access_key: str = _s(
        "", "main MinIO identity: `mapex init` makes the others with it; serve and worker do without once those are set"
    )
    store_secret_key: str = _s("", "its secret", secret=True)
    store_upload_access_key: str = _s("", "MinIO identity that may only write staging; signs uploads (serve)")
    store_upload_secret_key: str = _s("", "its secret", secret=True)
    store_download_access_key: str = _s("", "MinIO identity that may only read data; signs downloads (serve)")
    store_download_secret_key: str = _s("", "its secret", secret=True)
    store_fixed_signer: bool = _s(
        False, "that identity signs downloads itself, for an S3 that is no MinIO; else it makes one for each firm"
    )
    store_work_access_key: str = _s("", "MinIO identity that may only read staging and write data (worker)")
    store_work_secret_key: str = _s("", "its secret", secret=True)
    store_sweep_access_key: str = _s("", "MinIO identity that may only list and delete (worker)")
    store_sweep_secret_key: str = _s("", "its secret", secret=True)
    store_public_url: str = _s("", "store address that clients can reach; default: public_url (directory) or the endpoint (minio)")
    host: str = _s("127.0.0.1", "address that `mapex serve` listens on")
    port: int = _s(8080, "its port", least=1)
    public_url: str = _s("", "address under which clients see the exchange; default http://<host>:<port>")
    proxies: int = _s(0, "proxies in front whose X-Forwarded-For is believed; 0 = none, the address that connects is the caller's", least=0)
    secret_key: str = _s("", "key of web sessions; made by `mapex init`", secret=True)
    signing_key: str = _s("", "key of quotes, holder headers and directory-store signatures; made by `mapex init`", secret=True)
    quote_minutes: int = _s(15, "how long a quote is held", least=1)
    grant_seconds: int = _s(120, "life of a download address", least=1)
    grants_per_tile: int = _s(50, "addresses of one bought file that are given out in a day", least=1)
    grants_per_minute: int = _s(60, "calls for addresses of one person in a minute, of up to 1,000 files each", least=1)
    quotes_per_minute: int = _s(120, "quotes of one person in a minute", least=1)
    secrets_per_minute: int = _s(20, "tokens and invitations that one person makes in a minute", least=1)
    writes_per_minute: int = _s(1200, "other calls of one person in a minute that change something", least=1)
    log_reads_per_minute: int = _s(600, "readings of the log by one person in a minute, of up to 1,000 entries each", least=1)
    lease_seconds: int = _s(60, "a worker that is silent for so long has lost its job", least=1)
    job_attempts: int = _s(3, "a job that killed its worker so often is failed", least=1)
    part_size: int = _s(16 * MIB, "bytes of one upload part; at least 5 MiB with minio", least=1)
    max_upload_bytes: int = _s(100 * 1024 * MIB, "largest single file", least=1)
    max_staged_bytes: int = _s(
        1024 * 1024 * MIB, "all files together that one organisation may have staged; used ones stay a week", least=1
    )
    max_region_vertices: int = _s(5000, "vertices of an area that is asked for", least=4)
    max_region_km2: int = _s(40_000, "size of an area that is asked for", least=1)
    processes: int = _s(0, "reader processes; 0 = one per core", least=0)
    scheduler: str = _s("", "address of a Dask scheduler; empty = local processes")
    cage: str = _s("auto", "how uploads are opened; auto = bubblewrap, of which only the demo can do without", choices=CAGES)
    cage_weak_for: str = _s("", "slug of the one firm whose maps, never footage, a worker without bubblewrap opens; empty = nobody's")
    basemap: str = _s(
        "", "PMTiles file of streets under the maps, such as an extract of OpenStreetMap; or the URL of one or of a MapLibre style"
    )
    places: str = _s(
        "", "file or folder of places that people search for: GeoJSON (`name`), or tables of addresses; empty = only divisions of Korea"
    )
    home: str = _s("", "where maps open: a place as in the search, coordinates, or `W,S,E,N`; empty = where most is on offer")
    public_prices: bool = _s(True, "visitors who are not signed in see prices; false = a closed exchange, they see only where data is")
    mail_host: str = _s("", "mail server that takes invitations along; empty = no mail, the operator hands out links")
    mail_port: int = _s(587, "its port", least=1)
    mail_security: str = _s("starttls", "how the line to it is protected", choices=("starttls", "tls", "none"))
    mail_user: str = _s("", "log-in at the mail server; empty = none is needed")
    mail_password: str = _s("", "its password", secret=True)
    mail_from: str = _s("", "address that mail comes from")
    mail_folder: Path = _s(Path(), "folder for mail instead of a server, to try it out; within <dir>")
    log_level: str = _s("INFO", "what `serve` and `worker` log", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    access_log: bool = _s(False, "`serve` logs each request: id, method, path, status, bytes, ms; no query, token, signature or cookie")
    secure_cookies: str = _s("auto", "cookies only over https; auto = when public_url is https", choices=("auto", "yes", "no"))
    session_hours: int = _s(24, "a session at a browser ends so long after signing in", least=1)
    session_idle_minutes: int = _s(120, "and so long after its last request", least=5)
    second_factor_roles: str = _s("", "roles that need a second factor at a browser, such as `operator auditor`; empty = whoever wants one")
    confirm_from_krw: int = _s(100_000, "orders that come to this amount since the last second factor ask for a fresh one", least=0)
    fee_percent: Decimal = _s(
        Decimal(0), "the operator's part of what sellers earn from now on, before VAT: a percentage of at most two decimals", least=0
    )
    operator_number: str = _s("", "business number of the operator (사업자등록번호), for tax invoices; empty = there are none")
    operator_name: str = _s("", "its name as registered")
    operator_representative: str = _s("", "its representative (대표자)")
    operator_address: str = _s("", "its address")
    operator_business_type: str = _s("", "its type of business (업태)")
    operator_item: str = _s("", "its item of business (종목)")
    operator_email: str = _s("", "where its tax invoices go")
    demo: bool = _s(False, "a demonstration: log-ins are printed and shown")

    def needs_factor(self, role: str) -> bool:
        """Whether persons of this role need a second factor at a browser."""
        return role in self.second_factor_roles.split()

    @property
    def fee_rate(self) -> int:
        """`fee_percent` in hundredths of a percent."""
        return int(self.fee_percent * 100)

    @property
    def uses_secure_cookies(self) -> bool:
        """Whether session cookies carry `Secure`."""
        return self.public_url.startswith("https://") if self.secure_cookies == "auto" else self.secure_cookies == "yes"


def load(folder: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the exchange in `folder` (else `MAPEX_DIR`, else the working directory).

    Raises: Invalid: a key is unknown, a value cannot be read, a secret is missing, or the file can be read by others.
    """
    environ = os.environ if environ is None else environ
    _refuse_unknown_variables(environ)
    directory = Path(folder if folder is not None else environ.get("MAPEX_DIR") or ".").absolute()
    values: dict[str, Any] = _from_file(directory / FILE_NAME)
    for spec in fields(Settings):
        raw = _from_environment(spec, environ)
        if raw is not None:
            values[spec.name] = _read(spec, raw, f"MAPEX_{spec.name.upper()}")
    values["dir"] = directory
    settings = _completed(Settings(**values))
    _check(settings)
    return settings


def initialise(folder: Path | str, environ: Mapping[str, str] | None = None) -> Settings:
    """Make `folder` the home of a new exchange: fresh secrets in `mapex.toml`, mode 0600.

    Raises: Conflict: an exchange lives there already.
    """
    directory = Path(folder).absolute()
    if (directory / FILE_NAME).exists() or (directory / "mapex.db").exists():
        raise Conflict("init.exists", f"{directory} already holds an exchange; choose another folder.")
    make_private(directory)
    text = (
        "# Settings of this exchange; every key is listed in the README. Keep this file secret.\n"
        f'secret_key = "{secrets.token_urlsafe(32)}"\n'
        f'signing_key = "{secrets.token_urlsafe(32)}"\n'
    )
    write_secret(directory / FILE_NAME, text)
    return load(directory, environ)


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; refuses to overwrite."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def database_url(settings: Settings) -> str:
    """The SQLAlchemy URL with the driver that mapex uses."""
    url = settings.database_url
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Invalid("config.mode", f"{path} holds secrets and others can read it; run `chmod 600 {path}`.", path=str(path))
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid("config.malformed", f"{path} is not TOML: {error}.", path=str(path)) from error
    known = {spec.name: spec for spec in fields(Settings)}
    for key in table:
        if key not in known or key == "dir":
            raise Invalid("config.unknown", f"{path} has the unknown key {key!r}{_hint(key, known)}", key=key)
    return {key: _read(known[key], value, f"{path}: {key}") for key, value in table.items()}


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    known = {f"MAPEX_{spec.name.upper()}" for spec in fields(Settings)}
    known |= {f"MAPEX_{spec.name.upper()}_FILE" for spec in fields(Settings) if spec.metadata["secret"]}
    for name in environ:
        if name.startswith("MAPEX_") and not name.startswith("MAPEX_TEST_") and name not in known | NOT_SETTINGS:
            raise Invalid("config.unknown", f"The environment has the unknown setting {name}{_hint(name, known)}", key=name)


def _from_environment(spec: Field[Any], environ: Mapping[str, str]) -> str | None:
    name = f"MAPEX_{spec.name.upper()}"
    file = environ.get(f"{name}_FILE") if spec.metadata["secret"] else None
    if file and name in environ:
        raise Invalid("config.twice", f"{name} and {name}_FILE are both set; keep one.", key=name)
    if not file:
        return environ.get(name)
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Invalid("config.secret_file", f"{name}_FILE names {file}, which cannot be read: {error.strerror}.", key=name) from error


def _read(spec: Field[Any], raw: Any, where: str) -> Any:
    """`raw` (text of a variable or a TOML value) as the type of the field."""
    kind = str(spec.type)
    value: Any = raw
    if kind == "bool" and isinstance(raw, str):
        words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
        value = words.get(raw.strip().lower())
    elif kind == "int" and isinstance(raw, str):
        value = int(raw) if raw.strip().lstrip("+-").isdecimal() else None
    elif kind == "Path" and isinstance(raw, str):
        value = Path(raw)
    elif kind == "Decimal" and not isinstance(raw, bool):
        value = _decimal(str(raw))
    expected = {"bool": bool, "int": int, "Path": Path, "Decimal": Decimal, "str": str}[kind]
    if not isinstance(value, expected) or (kind == "int" and isinstance(value, bool)):
        raise Invalid("config.value", f"{where} must be a {kind}, not {raw!r}.", key=spec.name)
    choices, least = spec.metadata["choices"], spec.metadata["least"]
    if choices and value not in choices:
        raise Invalid("config.value", f"{where} must be one of {', '.join(choices)}, not {raw!r}.", key=spec.name)
    if least is not None and isinstance(value, (int, Decimal)) and value < least:
        raise Invalid("config.value", f"{where} must be at least {least}, not {raw!r}.", key=spec.name)
    return value


def _decimal(text: str) -> Decimal | None:
    """A plain number such as 12.5."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _completed(settings: Settings) -> Settings:
    """Fill in what follows from other settings."""
    public_url = settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    scheme = "https" if settings.store_secure else "http"
    endpoint = f"{scheme}://{settings.store_endpoint}" if settings.store_endpoint else ""
    store_dir = settings.dir / "objects" if settings.store_dir == Path() else settings.dir / settings.store_dir
    return replace(
        settings,
        database_url=settings.database_url or f"sqlite:///{settings.dir / 'mapex.db'}",
        store_dir=store_dir,
        public_url=public_url,
        store_public_url=settings.store_public_url.rstrip("/") or (public_url if settings.store == "directory" else endpoint),
    )


def _check(settings: Settings) -> None:
    missing = [name for name in ("secret_key", "signing_key") if not getattr(settings, name)]
    if missing:
        raise Invalid(
            "config.missing",
            f"{settings.dir} holds no exchange ({' and '.join(missing)} not set); run `mapex init --dir {settings.dir}` or set MAPEX_DIR.",
            missing=missing,
        )
    if len(settings.secret_key) < 32 or len(settings.signing_key) < 32:
        raise Invalid("config.weak_secret", "`secret_key` and `signing_key` need at least 32 characters; `mapex init` makes good ones.")
    if not settings.database_url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")):
        scheme = settings.database_url.partition(":")[0]
        raise Invalid("config.value", f"`database_url` must begin with sqlite:/// or postgresql://, not {scheme}.", key="database_url")
    if strange := set(settings.second_factor_roles.split()) - {"member", "auditor", "operator"}:
        message = f"`second_factor_roles` names member, auditor and operator, not {', '.join(sorted(strange))}."
        raise Invalid("config.value", message, key="second_factor_roles")
    if settings.database_owner_url and not settings.database_owner_url.startswith(
        ("postgresql://", "postgresql+psycopg://", "postgres://")
    ):
        scheme = settings.database_owner_url.partition(":")[0]
        sentence = f"`database_owner_url` must begin with postgresql://, not {scheme}."
        raise Invalid("config.value", sentence, key="database_owner_url")
    if settings.fee_percent > 100 or settings.fee_percent * 100 % 1:
        message = f"`fee_percent` must be at most 100 with at most two decimals, not {settings.fee_percent}."
        raise Invalid("config.value", message, key="fee_percent")
    if (settings.mail_host or settings.mail_folder != Path()) and "@" not in settings.mail_from:
        raise Invalid("config.missing", "Mail needs an address that it comes from; set `mail_from`.", missing=["mail_from"])
    if settings.store == "minio":
        unset = [name for name in _needed_of_minio(settings) if not getattr(settings, name)]
        if unset:
            raise Invalid("config.missing", f"`store = minio` needs {', '.join(unset)}; set them.", missing=unset)
        if settings.part_size < MIN_S3_PART:
            raise Invalid(
                "config.value", f"`part_size` must be at least {MIN_S3_PART} with minio, not {settings.part_size}.", key="part_size"
            )


def _needed_of_minio(settings: Settings) -> list[str]:
    """The main account and that of uploads, or else any account of a single purpose; none without its secret."""
    pairs = {one: (f"store_{one}access_key", f"store_{one}secret_key") for one in ("", "upload_", "download_", "work_", "sweep_")}
    given = [one for one, names in pairs.items() if any(getattr(settings, name) for name in names)]
    alone = [one for one in given if one not in ("", "upload_")]
    wanted = given if alone else ["", "upload_", *given]
    return ["store_endpoint", *dict.fromkeys(name for one in wanted for name in pairs[one])]


def _hint(key: str, known: Mapping[str, Any] | set[str]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f". Did you mean {near[0]}?" if near else "."
