from fastapi import FastAPI, Form
from fastapi.templating import Jinja2Templates

from starlette_reactive import Reactive

app = FastAPI()
reactive = Reactive(Jinja2Templates(directory="templates"))
app.include_router(reactive.router)
guests: list[str] = []


@app.get("/")
@reactive.page("page.html", scope="party")
async def page() -> dict[str, list[str]]:
    return {"guests": guests}


@app.post("/guests", status_code=204)
async def sign(name: str = Form()) -> None:
    guests.append(name)
    await reactive.emit("party", "guests")
