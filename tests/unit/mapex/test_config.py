"""Settings: where they come from, what is refused, who may read the file."""

import stat
from pathlib import Path

import pytest

from mapex import config
from mapex.errors import Conflict, Invalid


def test_new_exchange_gets_fresh_secrets_that_only_the_owner_can_read(tmp_path: Path) -> None:
    one, two = config.initialise(tmp_path / "one", {}), config.initialise(tmp_path / "two", {})
    assert stat.S_IMODE((tmp_path / "one" / "mapex.toml").stat().st_mode) == 0o600
    assert len({one.secret_key, one.signing_key, two.secret_key, two.signing_key}) == 4
    assert one.database_url == f"sqlite:///{tmp_path}/one/mapex.db"
    assert one.public_url == "http://127.0.0.1:8080" == one.store_public_url


def test_a_folder_that_holds_an_exchange_is_not_initialised_again(tmp_path: Path) -> None:
    before = config.initialise(tmp_path, {})
    with pytest.raises(Conflict) as refused:
        config.initialise(tmp_path, {})
    assert refused.value.code == "init.exists"
    assert config.load(tmp_path, {}) == before


def test_a_settings_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    config.initialise(tmp_path, {})
    (tmp_path / "mapex.toml").chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600") as refused:
        config.load(tmp_path, {})
    assert refused.value.code == "config.mode"


def test_unknown_keys_are_refused_in_file_and_environment_with_a_hint(tmp_path: Path) -> None:
    config.initialise(tmp_path, {})
    with pytest.raises(Invalid, match="Did you mean MAPEX_PORT"):
        config.load(tmp_path, {"MAPEX_PROT": "1"})
    with (tmp_path / "mapex.toml").open("a") as file:
        file.write("quote_minute = 3\n")
    with pytest.raises(Invalid, match="Did you mean quote_minutes") as refused:
        config.load(tmp_path, {})
    assert refused.value.code == "config.unknown"


def test_environment_wins_over_file_and_file_over_default(tmp_path: Path) -> None:
    config.initialise(tmp_path, {})
    with (tmp_path / "mapex.toml").open("a") as file:
        file.write("quote_minutes = 3\ngrant_seconds = 7\n")
    loaded = config.load(tmp_path, {"MAPEX_GRANT_SECONDS": "9", "MAPEX_DEMO": "yes"})
    assert (loaded.quote_minutes, loaded.grant_seconds, loaded.lease_seconds, loaded.demo) == (3, 9, 60, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("DEMO", "perhaps"),
        ("STORE", "ftp"),
        ("CAGE", "none"),
        ("DATABASE_URL", "mysql://x/y"),
        ("SECRET_KEY", "short"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(tmp_path: Path, name: str, value: str) -> None:
    config.initialise(tmp_path, {})
    with pytest.raises(Invalid) as refused:
        config.load(tmp_path, {f"MAPEX_{name}": value})
    assert refused.value.code in ("config.value", "config.weak_secret")


def test_secrets_may_come_from_files_but_not_from_two_places(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40 + "\n")
    given = {"MAPEX_SECRET_KEY_FILE": str(tmp_path / "key"), "MAPEX_SIGNING_KEY": "s" * 40}
    assert config.load(tmp_path, given).secret_key == "k" * 40
    with pytest.raises(Invalid) as twice:
        config.load(tmp_path, {**given, "MAPEX_SECRET_KEY": "x" * 40})
    assert twice.value.code == "config.twice"
    with pytest.raises(Invalid) as absent:
        config.load(tmp_path, {**given, "MAPEX_SECRET_KEY_FILE": str(tmp_path / "absent")})
    assert absent.value.code == "config.secret_file"


def test_a_folder_without_exchange_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="mapex init --dir") as refused:
        config.load(tmp_path, {})
    assert refused.value.code == "config.missing"


def test_minio_needs_all_its_keys_and_parts_that_s3_accepts(tmp_path: Path) -> None:
    config.initialise(tmp_path, {})
    given = {"MAPEX_STORE": "minio", "MAPEX_STORE_ENDPOINT": "minio:9000"}
    with pytest.raises(Invalid, match="store_upload_secret_key"):
        config.load(tmp_path, given)
    keys = ("ACCESS_KEY", "SECRET_KEY", "UPLOAD_ACCESS_KEY", "UPLOAD_SECRET_KEY")
    given |= {f"MAPEX_STORE_{key}": "x" for key in keys}
    assert config.load(tmp_path, given).store_public_url == "https://minio:9000"
    with pytest.raises(Invalid, match="part_size"):
        config.load(tmp_path, {**given, "MAPEX_PART_SIZE": "65536"})


def test_cookies_are_secure_when_the_exchange_is_reached_over_tls(tmp_path: Path) -> None:
    config.initialise(tmp_path, {})
    assert not config.load(tmp_path, {}).uses_secure_cookies
    assert config.load(tmp_path, {"MAPEX_PUBLIC_URL": "https://maps.example"}).uses_secure_cookies
    assert not config.load(tmp_path, {"MAPEX_PUBLIC_URL": "https://maps.example", "MAPEX_SECURE_COOKIES": "no"}).uses_secure_cookies
