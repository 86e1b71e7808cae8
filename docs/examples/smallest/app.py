from fastapi import FastAPI, Form, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from starlette_reactive import ChangeEvent, DependencyIndex, EventStream, ReactiveBus, reactive_stream

app = FastAPI()
app.mount("/static", StaticFiles(directory="static"))
templates = Jinja2Templates(directory=".")
bus, index = ReactiveBus(), DependencyIndex()
index.register_from_sse_swaps(templates.env, "page.html")
context: dict[str, list[str]] = {"guests": []}


@app.get("/")
async def page(request: Request) -> Response:
    return templates.TemplateResponse(request, "page.html", {"cursor": bus.cursor("party"), **context})


@app.post("/guests")
async def sign(name: str = Form()) -> Response:
    context["guests"].append(name)
    await bus.emit(ChangeEvent("party", {"guests"}))
    return Response(status_code=204)


@app.get("/stream")
async def stream() -> EventStream:
    return reactive_stream(bus, scope="party", index=index, templates=templates, context_builder=lambda: context)
