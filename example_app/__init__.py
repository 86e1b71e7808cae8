"""Tandem: a small workspace for a team, whose pages stay as current as freshly loaded ones.

Each module shows one way to use starlette-reactive; ``live`` holds what they share.

==================  ================================================================================================
``boards``          a live page: one decorator, and events emitted by commits
``documents``       an editor that the browser owns, beside live data, derived paths and presence
``chat``            a stream that appends: replies arrive word by word
``notifications``   changes that only some people receive, and what they missed while away
``ask``             several regions of a page from one stream
``wall``            a page that is rendered once for all screens
``people``          signing in by name
==================  ================================================================================================
"""
