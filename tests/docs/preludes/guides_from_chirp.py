"""What the page for those who come from Chirp takes for granted: a bus, an index, and documents."""

from fastapi import FastAPI
from jinja2 import DictLoader
from starlette.templating import Jinja2Templates

from starlette_reactive import DependencyIndex, EventStream, Reactive, ReactiveBus, reactive_stream

__all__ = ["EventStream", "app", "bus", "index", "load_doc", "reactive", "reactive_stream", "templates"]

PAGE = '<h1 id="title">{% block title %}{{ doc.title }}{% endblock %}</h1><div {{ live() }}></div>'
templates = Jinja2Templates(directory=".")
templates.env.loader = DictLoader({"doc.html": PAGE})
app = FastAPI()
reactive = Reactive(templates)
app.include_router(reactive.router)
bus, index = ReactiveBus(), DependencyIndex()


def load_doc(doc_id: str) -> dict[str, str]:
    return {"title": doc_id}
