"""What is in the demo's Spaces and its kernel: programs of a page each."""

from .plan import Build, PlannedCommit


def program(name: str, source: str, *, requirements: str = "") -> Build:
    """An app of one file, with what it needs beside it."""
    put = {name: source.encode()} | ({"requirements.txt": requirements.encode()} if requirements else {})
    return lambda: [PlannedCommit("First version", put)]


def page() -> Build:
    """A static Space."""
    return lambda: [
        PlannedCommit(
            "First version", {"index.html": _PAGE.encode(), "style.css": b"main { font: 18px sans-serif }\n"}
        ),
        PlannedCommit("All is well again", {"index.html": _PAGE.replace("trouble", "fine").encode()}),
    ]


def image() -> Build:
    """A Docker Space."""
    return lambda: [
        PlannedCommit("First version", {"Dockerfile": _DOCKERFILE.encode(), "main.py": _SEARCH.encode()}),
    ]


def kernel() -> Build:
    """A kernel, laid out as the `kernels` library loads it."""
    build = '[general]\nname = "fused_rmsnorm"\nuniversal = true\n'
    at = "build/torch-universal/fused_rmsnorm"
    return lambda: [
        PlannedCommit(
            "Source", {"build.toml": build.encode(), "torch-ext/fused_rmsnorm/__init__.py": _KERNEL.encode()}
        ),
        PlannedCommit("Build", {f"{at}/__init__.py": _KERNEL.encode()}, tag="v0.1.0"),
    ]


SENTENCE_MAP = """\
import gradio as gr
import onnxruntime as ort
from huggingface_hub import hf_hub_download

session = ort.InferenceSession(hf_hub_download("alice/tiny-sentence-encoder", "onnx/model.onnx"))


def draw(sentences: str):
    ...


gr.Interface(draw, inputs="textbox", outputs="plot").launch()
"""

CHORD_QUIZ = """\
import random

import streamlit as st

chord = st.session_state.setdefault("chord", random.choice(["C", "Am", "F", "G", "Dm"]))
guess = st.text_input("Which chord is this?")
if guess:
    st.write("Yes!" if guess == chord else "Listen again.")
"""

WORKSHOP = 'import gradio as gr\n\ngr.Markdown("Nothing to see.").launch()\n'

_PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Acme status</title><link rel="stylesheet" href="style.css"></head>
<body><main><h1>Acme status</h1><p>Parcels: trouble</p></main></body>
</html>
"""

_DOCKERFILE = """\
FROM python:3.12-slim
RUN useradd -m -u 1000 user
USER user
WORKDIR /app
COPY --chown=user main.py .
CMD ["python", "main.py"]
"""

_SEARCH = """\
from http.server import BaseHTTPRequestHandler, HTTPServer


class Search(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"meow")


HTTPServer(("0.0.0.0", 7860), Search).serve_forever()
"""

_KERNEL = '''\
"""Root mean square layer normalisation with the residual addition before it."""

import torch


def rmsnorm(x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    x = x + residual
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight
'''
