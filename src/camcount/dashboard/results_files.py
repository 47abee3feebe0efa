"""What came of a dropped video, to play and to take away."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from camcount.dashboard.dashboard import Dashboard

_ADDRESS = "/_dashboard/videos/{video}/{file}"


def address(video_id: str, file: str) -> str:
    """Where a file of a video is."""
    return _ADDRESS.format(video=video_id, file=file)


def add_files(shell: FastAPI) -> None:
    """The files of videos as routes; parts of them can be asked for, so that browsers can wind."""
    shell.add_api_route(_ADDRESS, _file, methods=["GET", "HEAD"], include_in_schema=False)


async def _file(request: Request) -> Response:
    dashboard: Dashboard = request.scope["dashboard"]
    video_id, file = request.path_params["video"], request.path_params["file"]
    path, video = dashboard.videos.path(video_id, file), dashboard.videos.get(video_id)
    if path is None or video is None:
        return PlainTextResponse("there is no such file", 404)
    name = f"{Path(video.name).stem}-{file}"
    played = file.endswith(".mp4") and "download" not in request.query_params
    return FileResponse(path, filename=name, content_disposition_type="inline" if played else "attachment")
