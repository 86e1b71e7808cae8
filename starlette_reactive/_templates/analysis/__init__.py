"""The abstract interpretation that finds what a template reads.

:class:`~.interpreter.Interpreter` visits the nodes of a composed page. It is assembled from mixins, one for each kind
of node or operation. All of them share the attributes that :class:`~.interpreter_state.InterpreterState` declares:

- ``tracking``: records reads, and changes of containers
- ``names``: looks names up and binds them
- ``attributes``, ``functions``, ``expressions``: evaluate expressions
- ``calls``, ``macros``: call macros, blocks, loops and functions
- ``statements``, ``loops``: execute statements
- ``block_statements``: places blocks in the page
- ``template_statements``: follows includes, imports and parents
"""

__all__: list[str] = []
