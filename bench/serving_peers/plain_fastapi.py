"""The job in a plain FastAPI server: one process, one session of one thread, the usual pool of forty threads.

``JOB=folder python -m bench.serving_peers.plain_fastapi PORT``: the body is the picture's file.
"""

import os
import sys

import uvicorn
from bench.serving_job import Job
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
job = Job(os.environ["JOB"])


@app.post("/detect")
async def detect(request: Request) -> Response:
    """A picture to what is in it."""
    try:
        return Response(await run_in_threadpool(job.run, await request.body()), media_type="application/json")
    except ValueError as error:
        return Response(str(error), 400)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
