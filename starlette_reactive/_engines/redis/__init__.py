"""Redis as an engine. Needs the extra ``redis``.

``engine`` opens a ``session`` for a relay; ``sender`` emits without an event loop. ``scripts`` holds the Lua scripts
and the layout of the keys, ``script_runner`` runs the scripts, and ``codec`` translates their arguments and answers.
"""

__all__: list[str] = []
