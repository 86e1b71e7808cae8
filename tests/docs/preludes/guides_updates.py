"""What the page on updates takes for granted: an application that is wired."""

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader

from starlette_reactive import Reactive

app = FastAPI()
reactive = Reactive(Environment(loader=FileSystemLoader("."), autoescape=True))
app.include_router(reactive.router)
