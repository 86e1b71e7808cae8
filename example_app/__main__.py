"""Run the workspace: ``python -m example_app [--host HOST] [--port PORT] [--htmx 2|4] [--debug] [--reload]``."""

import argparse
import os
import secrets

import uvicorn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m example_app", description="A small workspace that stays live.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=8000, type=int, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument("--htmx", choices=["2", "4"], help="version of htmx unless a visitor picks one in the footer")
    parser.add_argument("--debug", action="store_true", help="show the inspector at /_reactive/inspector")
    parser.add_argument("--reload", action="store_true", help="restart when code changes; open pages stay live")
    options = parser.parse_args()
    if options.htmx:
        os.environ["EXAMPLE_HTMX"] = options.htmx
    if options.debug:
        os.environ["EXAMPLE_DEBUG"] = "1"
    # A random secret is enough here: a process that is started again inherits the variable. Several processes that are
    # started separately need it set to the same secret.
    os.environ.setdefault("REACTIVE_SECRET", secrets.token_urlsafe())
    uvicorn.run("example_app.app:create_app", factory=True, host=options.host, port=options.port, reload=options.reload)


if __name__ == "__main__":
    main()
