"""Tandem: a small workspace for a team, in which every page stays as true as a fresh one.

Each module shows one way to use starlette-reactive; ``live`` holds what they share.

==================  ================================================================================================
``boards``          a live page: one decorator, and commits that announce themselves
``documents``       an editor that the browser owns, beside live facts, derived paths and who is here
``chat``            a stream that appends: replies come word by word
``notifications``   changes that only some people are told of, and what they missed meanwhile
``ask``             several regions of a page from one stream
``wall``            a page that is rendered once, however many screens show it
``people``          signing in by name, and what a form answers
==================  ================================================================================================
"""
