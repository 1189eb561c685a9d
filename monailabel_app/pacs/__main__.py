"""`python -m monailabel_app.pacs --folder DIR --port N`: the embedded PACS on its own."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

from mammosynth.counts import count_of
from monailabel_app.errors import OptionsError
from monailabel_app.gateway.connections import build_server, listening, raise_file_limit
from monailabel_app.gateway.logs import configure_logging, warnings_without_values
from monailabel_app.pacs.app import create_store_app


def main() -> None:
    """Serve until interrupted, on the loopback interface only."""
    parser = argparse.ArgumentParser(prog="python -m monailabel_app.pacs", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="DICOM files, in any layout; created if absent")
    parser.add_argument("--port", type=int, default=8042)
    parser.add_argument(
        "--index-folder",
        type=Path,
        default=Path.home() / ".cache" / "mammosynth" / "pacs",
        help="may be deleted at any time",
    )
    parser.add_argument("--user", help="ask for HTTP Basic; the password is read from MAMMOSYNTH_PACS_PASSWORD")
    options = parser.parse_args()
    credentials = None
    if options.user is not None:
        password = os.environ.get("MAMMOSYNTH_PACS_PASSWORD")
        if not password:
            parser.error("--user needs a password in the environment variable MAMMOSYNTH_PACS_PASSWORD")
        credentials = (options.user, password)
    configure_logging()
    raise_file_limit()
    try:
        with warnings_without_values(), listening("127.0.0.1", options.port) as listener, suppress(KeyboardInterrupt):
            app = create_store_app(
                options.folder, index_folder=options.index_folder, credentials=credentials, progress=_tell_progress
            )
            build_server(app).run(sockets=[listener])
    except (OSError, OptionsError) as error:
        parser.exit(1, f"{error}\n")


def _tell_progress(done: int, total: int) -> None:
    sys.stderr.write(f"Reading the archive: {done} of {count_of(total, 'file')}\n")


if __name__ == "__main__":
    main()
