"""The original's server as its recipe has it: one command at a time, in the server's own process, no isolation."""
import subprocess

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Command(BaseModel):
    cmd: str


@app.post("/run-bash/")
async def run_bash(command: Command):
    done = subprocess.run(command.cmd, shell=True, capture_output=True, text=True)
    return {"output": done.stdout, "error": done.stderr}
