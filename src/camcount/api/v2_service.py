"""Everything that the Open Inference Protocol offers but inference itself, as the values that its JSON holds."""

from __future__ import annotations

import asyncio
from typing import Any

import camcount
from camcount.api.v2_models import asked, configuration, index, interface, metadata, versions_of
from camcount.api.v2_statistics import Tally
from camcount.models.loading_state import State
from camcount.serving.dataplane import DataPlane

EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics", "model_configuration")


class OpenInference:
    """The data plane in the protocol's words; what may have to ask the registry runs on another thread.

    Every method that names a model raises `ModelNotFound`, `ModelVersionMismatch` or `InvalidInput` for a name that
    cannot be used.
    """

    def __init__(self, plane: DataPlane, tally: Tally) -> None:
        self.plane = plane
        self._tally = tally

    def server(self) -> dict[str, Any]:
        """The server metadata."""
        return {"name": "camcount", "version": camcount.__version__, "extensions": list(EXTENSIONS)}

    async def metadata(self, name: str, version: str = "") -> dict[str, Any]:
        """A model's metadata; it is loaded first where its tensors are asked for and not known yet."""
        wanted = asked(name, version)

        def look() -> dict[str, Any]:
            info = self.plane.model(wanted.reference)
            if wanted.tensors and not info.inputs:
                info = self.plane.load(wanted.reference)
            return metadata(wanted, info, versions_of(self.plane, info))

        return await asyncio.to_thread(look)

    async def configuration(self, name: str, version: str = "") -> dict[str, Any]:
        """A model's configuration."""
        wanted = asked(name, version)
        return configuration(wanted, await asyncio.to_thread(self.plane.model, wanted.reference))

    async def model_ready(self, name: str, version: str = "") -> bool:
        """Whether the model answers at once."""
        wanted = asked(name, version)
        info = await asyncio.to_thread(self.plane.model, wanted.reference)
        interface(wanted, info)
        return info.state == State.READY

    async def index(self, *, ready_only: bool = False) -> list[dict[str, str]]:
        """The repository index."""
        models = await asyncio.to_thread(self.plane.models)
        return [dict(entry) for entry in index(models, ready_only=ready_only)]

    async def load(self, name: str) -> None:
        """Loads a model, anew where it is loaded already."""
        await asyncio.to_thread(self.plane.load, asked(name).reference, anew=True)

    async def unload(self, name: str) -> None:
        """Takes a model out of memory."""
        await asyncio.to_thread(self.plane.unload, asked(name).reference)

    async def statistics(self, name: str = "", version: str = "") -> dict[str, Any]:
        """Statistics of a model's versions, of one of them, or of every model; both interfaces count as one."""
        stem = ""
        if name:
            wanted = asked(name, version)
            info = await asyncio.to_thread(self.plane.model, wanted.reference)
            one = version or any(mark in name for mark in ":@")
            known = [info] if one else await asyncio.to_thread(self.plane.models)
            models = [version for version in known if version.name == info.name]
            stem = name.partition("@")[0].partition(":")[0]
        else:
            models = await asyncio.to_thread(self.plane.models)
        gauges = self.plane.gauges()
        found = [self._tally.statistics(info.name, info.version, gauges) for info in models]
        return {"model_stats": [{**counts, "name": stem or counts["name"]} for counts in found]}
