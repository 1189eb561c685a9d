"""Every setting of the server, parsed once into frozen dataclasses."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monailabel_app.errors import OptionsError
from monailabel_app.tokens import NamedToken

_LONGEST_LEAVE_S = 600.0
_LAST_PORT = 65535


@dataclass(frozen=True)
class AppOptions:
    """What the MONAI Label app can be told by `--conf NAME VALUE` or by the gateway.

    Attributes:
        model_zoo: Folders that hold bundles; a later folder wins where names repeat.
        trained_models: Where training writes its bundles.
        device: "cpu", "cuda" or "cuda:N".
    """

    model_zoo: tuple[Path, ...]
    trained_models: Path
    device: str = "cpu"

    @classmethod
    def from_conf(cls, conf: Mapping[str, str], app_dir: str) -> AppOptions:
        """Read `model_zoo` (folders joined by `:`), `trained_models` and `device`.

        Raises:
            OptionsError: If a name is unknown or a folder does not exist.
        """
        from mammosynth.bundle import default_model_zoo

        known = {"model_zoo", "trained_models", "device", "server_mode"}
        unknown = sorted(set(conf) - known)
        if unknown:
            raise OptionsError(f"--conf {unknown[0]} is unknown, expected one of {', '.join(sorted(known))}")
        zoo = tuple(Path(p) for p in conf["model_zoo"].split(":")) if conf.get("model_zoo") else (default_model_zoo(),)
        missing = [str(folder) for folder in zoo if not folder.is_dir()]
        if missing:
            raise OptionsError(f"--conf model_zoo: {missing[0]} is not a folder; name folders that hold bundles")
        trained = Path(conf.get("trained_models") or Path(app_dir) / "model")
        return cls(model_zoo=zoo, trained_models=trained, device=conf.get("device") or "cpu")


@dataclass(frozen=True)
class ServeOptions:
    """What `mammosynth serve` was asked for.

    Attributes:
        studies: A DICOMweb root URL, or a folder; None serves `data_dir/studies`.
        data_dir: Jobs, caches, index and trained models live here.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        token_file: Named tokens, of which every request must carry one; None asks for none (loopback only).
        more_tokens: Tokens of this run, beside those of the file.
        allowed_hosts: Further Host names under which users reach this server, as `name` or `name:port`.
        device: Where networks run.
        credentials: User and password for the DICOMweb URL; None sends none.
        trusted_proxies: Addresses or networks, joined by commas, of reverse proxies whose X-Forwarded-For and
            X-Forwarded-Proto are believed; nobody else's are. From the environment variable FORWARDED_ALLOW_IPS, which
            uvicorn and others use for it, too.
        reader_studies: A PostgreSQL URL, or a SQLite file; None: a file in `data_dir`.
        jobs: The same for jobs; servers that name the same PostgreSQL database share their queue.
        leave_s: For how long requests are still answered after the server is told to stop, while it is not ready.
        log_as_json: Whether the log is lines of JSON.
        ray_address: Of the Ray cluster whose workers run networks, as `device` says; None: this process does.
        ray_workers: How many; None: as it has room for.
    """

    studies: str | Path | None
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    more_tokens: tuple[NamedToken, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    device: str = "cpu"
    credentials: tuple[str, str] | None = None
    trusted_proxies: str = ""
    reader_studies: str | Path | None = None
    jobs: str | Path | None = None
    leave_s: float = 0.0
    log_as_json: bool = False
    ray_address: str | None = None
    ray_workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would be unsafe or cannot work."""
        if not 0 <= self.port <= _LAST_PORT:
            raise OptionsError(f"--port {self.port} is outside 0-65535")
        if not 0 <= self.leave_s <= _LONGEST_LEAVE_S:
            raise OptionsError(f"--leave {self.leave_s:g} is outside 0-{_LONGEST_LEAVE_S:g} seconds")
        if not _is_loopback(self.host) and self.token_file is None:
            raise OptionsError(
                f"--host {self.host} is reachable from the network: add --token-file FILE so that only people "
                "who hold a token see patients' images (mammosynth token add NAME makes one), or use --host 127.0.0.1"
            )
        for proxy in filter(None, self.trusted_proxies.split(",")):
            if not _is_network(proxy.strip()):
                raise OptionsError(
                    f"FORWARDED_ALLOW_IPS holds {proxy.strip()[:80]!r}, expected addresses or networks of reverse "
                    "proxies such as 127.0.0.1,10.0.0.0/24; whoever is named there can say who asks, so not everybody"
                )
        if self.ray_address is not None and not _is_ray_address(self.ray_address):
            raise OptionsError(
                f"--ray-address is {self.ray_address[:80]!r}, expected HOST:PORT of a cluster's head such as "
                "10.0.0.1:6379, as `ray start --head` tells it, or auto for the one that runs on this machine"
            )
        if self.ray_workers is not None and (self.ray_workers < 1 or self.ray_address is None):
            raise OptionsError(
                f"--ray-workers {self.ray_workers}: expected 1 or more, and --ray-address of the cluster with it"
            )
        if isinstance(self.studies, Path) and not self.studies.is_dir():
            raise OptionsError(f"--studies {self.studies} is not a folder, expected a folder or an http(s) URL")


def parse_studies(text: str | None) -> str | Path | None:
    """A DICOMweb root URL (without trailing slash), a folder, or None."""
    if text is None:
        return None
    if text.startswith(("http://", "https://")):
        return text.rstrip("/")
    return Path(text).expanduser().resolve()


def archive_credentials(user: str | None) -> tuple[str, str] | None:
    """User and password of an archive, the password from the environment; None without a user.

    Raises:
        OptionsError: If there is no password.
    """
    if not user:
        return None
    password = os.environ.get("MAMMOSYNTH_ARCHIVE_PASSWORD")
    if not password:
        raise OptionsError("--archive-user needs the environment variable MAMMOSYNTH_ARCHIVE_PASSWORD; set it")
    return user, password


def _is_network(text: str) -> bool:
    try:
        return ipaddress.ip_network(text).prefixlen > 0
    except ValueError:
        return False


def _is_ray_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return text == "auto" or (bool(host) and "/" not in host and port.isdecimal() and 0 < int(port) <= _LAST_PORT)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
