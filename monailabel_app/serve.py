"""`mammosynth serve`: archive, MONAI Label app, gateway and viewer in one foreground process."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import monailabel_app
from mammosynth.counts import count_of
from mammosynth.imports import import_monai, imports_that_stay
from monailabel_app.errors import OptionsError
from monailabel_app.options import ServeOptions, archive_credentials, parse_studies
from monailabel_app.ownership import own_files
from monailabel_app.tokens import TokenBook, is_plain


def parse_options(args: argparse.Namespace) -> ServeOptions:
    """The options behind parsed arguments.

    Raises:
        OptionsError: If a value cannot be used.
    """
    return ServeOptions(
        studies=parse_studies(args.studies),
        data_dir=args.data_dir.expanduser().resolve(),
        reader_studies=args.reader_studies,
        jobs=args.jobs,
        leave_s=args.leave,
        log_as_json=args.log_format == "json",
        host=args.host,
        port=args.port,
        token_file=args.token_file.expanduser().resolve() if args.token_file else None,
        allowed_hosts=tuple(args.allowed_host),
        device=args.device,
        credentials=archive_credentials(args.archive_user),
        ray_address=args.ray_address,
        ray_workers=args.ray_workers,
        trusted_proxies=os.environ.get("FORWARDED_ALLOW_IPS", ""),
    )


def serve(
    options: ServeOptions,
    *,
    say: Callable[[str], None] = lambda text: print(text, flush=True),  # noqa: T201 - the foreground command speaks
    prepare: Callable[[], None] | None = None,
    when_ready: Callable[[str, Callable[[], None]], None] | None = None,
) -> int:
    """Serve until Ctrl-C.

    Args:
        options: What to serve.
        say: Where sentences for the person at the terminal go.
        prepare: Called once nothing can be refused any more, before the archive is opened.
        when_ready: Called in a thread of its own with the server's address and a function that stops it.

    Returns:
        Exit status.

    Raises:
        OptionsError: If the port or the data folder is taken, the token file cannot be used, or Ray is not installed.
        InvalidParameterError: If the Ray cluster does not answer.
        PacsError: If the archive does not answer.
    """
    from monailabel_app.gateway.connections import listening, raise_file_limit
    from monailabel_app.gateway.logs import warnings_without_values

    started = time.monotonic()
    tokens = _tokens(options, say)
    raise_file_limit()
    with ExitStack() as open_things:
        open_things.enter_context(own_files())
        options.data_dir.mkdir(parents=True, exist_ok=True)
        _close_to_others(options.data_dir, say)
        open_things.enter_context(locked(options.data_dir))
        open_things.enter_context(_temporary_files(options.data_dir / "tmp"))
        open_things.enter_context(warnings_without_values())
        listener = open_things.enter_context(listening(options.host, options.port))
        if prepare is not None:
            prepare()
        pool = open_things.enter_context(_pool(options, say))
        studies, credentials = open_things.enter_context(_archive(options, say))
        port = listener.getsockname()[1]
        address = f"http://{'127.0.0.1' if options.host in ('0.0.0.0', '::') else options.host}:{port}"  # noqa: S104
        say("Loading models ...")
        _configure_platform(options, studies, credentials)
        with imports_that_stay():
            import_monai()
            server = _server(options, studies, credentials, port, tokens, pool)
        return _run_until_stopped(server, listener, options, address, started, say, when_ready)


def _run_until_stopped(
    server: Any,
    listener: socket.socket,
    options: ServeOptions,
    address: str,
    started: float,
    say: Callable[[str], None],
    when_ready: Callable[[str, Callable[[], None]], None] | None,
) -> int:
    def stop() -> None:
        server.should_exit = True

    def announce() -> None:
        while not server.started:
            if server.should_exit:
                return
            time.sleep(0.05)
        sign_in = f" (sign in at {address}/sign-in)" if options.token_file else ""
        say(f"Ready after {time.monotonic() - started:.1f} s. Viewer: {address}/ohif/{sign_in}")
        if when_ready:
            when_ready(address, stop)
        else:
            say("Press Ctrl-C to stop.")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    # uvicorn raises the signal again after its shutdown; an untouched SIGTERM would then skip our own.
    signal.signal(signal.SIGTERM, interrupt)
    threading.Thread(target=announce, name="announce", daemon=True).start()
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    say("Stopped.")
    return 0 if server.started else 1


def _configure_platform(options: ServeOptions, studies: str, credentials: tuple[str, str] | None) -> None:
    """Tell MONAI Label, which reads its settings from the environment when first imported, also in its subprocesses."""
    user, password = credentials or ("", "")
    cache = options.data_dir / "cache"
    trained = options.data_dir / "model_zoo"
    trained.mkdir(parents=True, exist_ok=True)
    from monailabel_app.gateway.logs import configure_logging

    app_dir = Path(monailabel_app.__file__).parent
    os.environ.update(
        MONAI_LABEL_APP_DIR=str(app_dir),
        MONAI_LABEL_STUDIES=studies,
        MONAI_LABEL_APP_CONF=json.dumps(
            {"device": "cpu" if options.ray_address else options.device, "trained_models": str(trained)}
        ),
        MONAI_LABEL_DICOMWEB_USERNAME=user,
        MONAI_LABEL_DICOMWEB_PASSWORD=password,
        MONAI_LABEL_DICOMWEB_CACHE_PATH=str(cache),
        MONAI_LABEL_DICOMWEB_SEARCH_FILTER='{"Modality":"MG"}',
        MONAI_LABEL_AUTO_UPDATE_SCORING="false",  # its scoring subprocess costs 700 MB at start
        MONAI_LABEL_SESSIONS="false",  # sessions unpack archives outside their folder
        MONAI_LABEL_RELOAD_APP_LIB="false",  # it deletes `lib.*` modules
        MONAI_LABEL_DATASTORE_AUTO_RELOAD="false",
        PYTHONPATH=os.pathsep.join(filter(None, [str(app_dir.parent), os.environ.get("PYTHONPATH", "")])),
    )
    configure_logging(as_json=options.log_as_json)


def _tokens(options: ServeOptions, say: Callable[[str], None]) -> TokenBook | None:
    if options.token_file is None:
        return None
    tokens = TokenBook(options.token_file, options.more_tokens)
    if is_plain(options.token_file):
        say(
            f"{options.token_file.name} holds one plain token, which counts as an owner's; mammosynth token add NAME "
            f"--token-file {options.token_file} gives everybody one of their own and keeps hashes only"
        )
    return tokens


def _server(
    options: ServeOptions,
    studies: str,
    credentials: tuple[str, str] | None,
    port: int,
    tokens: TokenBook | None,
    pool: Any,
) -> Any:
    from monailabel_app.gateway.answers import SafeHeaders
    from monailabel_app.gateway.app import create_gateway, interrupt
    from monailabel_app.gateway.audit import Audit
    from monailabel_app.gateway.connections import build_server
    from monailabel_app.gateway.guard import Guard
    from monailabel_app.gateway.metrics import Counted

    archive = studies if studies.startswith("http") else None
    names = {"127.0.0.1", "localhost", "[::1]", f"[{options.host}]" if ":" in options.host else options.host}
    hosts = {f"{name}:{port}" for name in names} | (names if port == 80 else set())
    for allowed in options.allowed_hosts:
        hosts |= {allowed} if ":" in allowed else {allowed, f"{allowed}:{port}"}
    gateway = create_gateway(
        archive,
        credentials,
        options.data_dir,
        options.reader_studies,
        options.token_file,
        options.jobs,
        pool=pool,
        device=options.device,
    )
    guarded = SafeHeaders(Audit(Guard(gateway, hosts=hosts, tokens=tokens), options.data_dir / "audit.log"))
    return build_server(
        Counted(guarded, gateway.state.metrics),
        trusted_proxies=options.trusted_proxies,
        when_leaving=gateway.state.readiness.leave,
        leave_s=options.leave_s,
        when_stopping=lambda: interrupt(gateway),
    )


def _close_to_others(folder: Path, say: Callable[[str], None]) -> None:
    """Let nobody else enter the data folder, which earlier versions left open; what is in it need not be touched."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not mode & 0o077:
        return
    try:
        folder.chmod(mode & ~0o077)
    except OSError as error:
        say(
            f"Other accounts of this machine can enter {folder}, which holds images of patients, and that cannot be "
            f"changed ({error.strerror}); let its owner run chmod go-rwx on it"
        )
    else:
        say(f"Other accounts of this machine could enter {folder}; from now on its owner alone can")


@contextmanager
def _temporary_files(folder: Path) -> Iterator[None]:
    """A place for uploads and results on their way; emptied at every start, since a kill leaves them behind."""
    before = tempfile.tempdir
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data folder, so that two servers never run the same jobs."""
    with (data_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OptionsError(
                f"--data-dir {data_dir.name} is in use by another server; stop that one or choose another folder"
            ) from None
        yield


@contextmanager
def _pool(options: ServeOptions, say: Callable[[str], None]) -> Iterator[Any]:
    """The workers of a Ray cluster that was named; they begin when there is something for them to hold."""
    if options.ray_address is None:
        yield None
        return
    try:
        from mammosynth.parallel.pool import RayPool
    except ImportError as error:
        raise OptionsError(f"--ray-address: {error}; install mammosynth[ray]") from error
    pool = RayPool(options.ray_address, workers=options.ray_workers, gpus=int(options.device != "cpu"))
    try:
        pool.connect()
        say(f"Networks run in {count_of(pool.workers, 'worker')} of the Ray cluster at {options.ray_address}")
        yield pool
    finally:
        pool.close()


@contextmanager
def _archive(options: ServeOptions, say: Callable[[str], None]) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """What MONAI Label gets as studies: an archive's URL, ours or another's, or a folder of image files."""
    if isinstance(options.studies, str):
        from monailabel_app.studies import DicomWebStudies

        say(f"Archive: {options.studies}")
        DicomWebStudies(options.studies, options.credentials).check()
        yield options.studies, options.credentials
        return
    folder = options.studies or options.data_dir / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    if _holds_only_image_files(folder):
        say(f"Folder of image files: {folder} (no archive, so no OHIF and no /synthesis; use /infer)")
        yield str(folder), None
        return
    say(f"Embedded archive over {folder}")
    with _embedded_store(folder, options.data_dir / "index", say) as (url, credentials):
        yield url, credentials


@contextmanager
def _embedded_store(
    folder: Path, index_folder: Path, say: Callable[[str], None]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """The embedded DICOMweb store on a loopback port of its own, in a thread with its own event loop.

    Its port is known to this process only by a password made for this run, so other users of the machine cannot read
    past the gateway.
    """
    from monailabel_app.gateway.connections import build_server, listening
    from monailabel_app.pacs import create_store_app
    from monailabel_app.pacs.store import FolderInUseError

    credentials = ("mammosynth", secrets.token_urlsafe(32))
    try:
        store = create_store_app(
            folder,
            index_folder=index_folder,
            credentials=credentials,
            progress=lambda done, total: say(f"Reading the archive: {done} of {count_of(total, 'file')}"),
        )
    except FolderInUseError as error:
        raise OptionsError(str(error)) from None
    except OSError as error:
        raise OptionsError(
            f"the embedded archive over {folder.name} cannot be opened ({error.strerror or error}); check the folder, "
            "the data folder, their rights and free space"
        ) from error
    server = build_server(store)
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="store", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        if not thread.is_alive():
            raise OptionsError(f"the embedded archive over {folder.name} did not start; see the log")
        try:
            yield f"http://127.0.0.1:{port}/dicom-web", credentials
        finally:
            server.should_exit = True
            thread.join(10)


def _holds_only_image_files(folder: Path) -> bool:
    """Whether there are images and no DICOM; a file without any ending may be DICOM."""
    from mammosynth.files.formats import ENDINGS, FileFormat, ending_of

    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    formats = {ENDINGS[ending] for path in files if (ending := ending_of(path))}
    may_be_dicom = FileFormat.DICOM in formats or any(not path.suffix for path in files)
    return bool(formats) and not may_be_dicom
