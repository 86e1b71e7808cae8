"""Run the task board: ``python -m example_app [--host HOST] [--port PORT]``."""

import argparse

import uvicorn

from .app import create_app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m example_app", description="A shared task board that stays live.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=8000, type=int, help="port to listen on, 0 for any (default: %(default)s)")
    options = parser.parse_args()
    uvicorn.run(create_app(), host=options.host, port=options.port)


if __name__ == "__main__":
    main()
