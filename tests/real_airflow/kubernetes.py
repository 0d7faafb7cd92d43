"""A Kubernetes with one node: pods as its API shows them, each a plain process of this machine.

What a KubernetesPodOperator asks of it (provider 10.25) and no more. No image: a pod's file system
is the folder `files`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from support.http import Handler

if TYPE_CHECKING:
    from pathlib import Path

Pod = dict[str, Any]


class Kubernetes:
    """Use as a context manager. `secrets` is for the test to fill; `pods` were created, by name."""

    def __init__(self, folder: Path, files: Path, path: str) -> None:
        self.files = files
        self.pods: dict[str, Pod] = {}
        self.logs: dict[str, Path] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self._folder = folder
        self._path = path
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.kubernetes = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Kubernetes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for process in self._processes.values():
            process.kill()
            process.wait()

    @property
    def config(self) -> Path:
        """A file for KUBECONFIG."""
        server = f"http://127.0.0.1:{self._server.server_address[1]}"
        path = self._folder / "kubeconfig"
        content = {
            "clusters": [{"name": "it", "cluster": {"server": server}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
        path.write_text(json.dumps(content))
        return path

    def create(self, pod: Pod) -> Pod:
        """Start a pod's container as its kubelet would."""
        name = pod["metadata"]["name"]
        (container,) = pod["spec"]["containers"]
        environ = {"PATH": self._path, "HOME": str(self._folder)}
        for variable in container["env"]:
            source = variable.get("valueFrom")
            reference = source["secretKeyRef"] if source else None
            value = (
                self.secrets[reference["name"]][reference["key"]]
                if reference
                else variable["value"]
            )
            environ[variable["name"]] = value
        self.logs[name] = self._folder / f"{name}.log"
        with self.logs[name].open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=self.files,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        pod["metadata"]["uid"] = name
        self.pods[name] = pod
        return self.show(name)

    def show(self, name: str) -> Pod:
        """A pod with its state of now."""
        pod = self.pods[name]
        code = self._processes[name].poll()
        state: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        if code is not None:
            state = {"terminated": {"exitCode": code}}
        status = {
            "phase": {None: "Running", 0: "Succeeded"}.get(code, "Failed"),
            "containerStatuses": [
                {
                    "name": pod["spec"]["containers"][0]["name"],
                    "image": "image",
                    "imageID": "image",
                    "ready": code is None,
                    "restartCount": 0,
                    "state": state,
                }
            ],
        }
        return {**pod, "status": status}

    def delete(self, name: str) -> Pod:
        """SIGTERM to the container's first process."""
        if self._processes[name].poll() is None:
            os.kill(self._processes[name].pid, signal.SIGTERM)
        return self.show(name)


class _Server(ThreadingHTTPServer):
    kubernetes: Kubernetes


class _Handler(Handler):
    server: _Server

    def serve(self) -> None:
        body = self.content()
        kubernetes = self.server.kubernetes
        path = self.path.partition("?")[0]
        kind, _, name = path.removeprefix("/api/v1/namespaces/dbt/").partition("/")
        answer: dict[str, Any] = {"items": [], "metadata": {}}
        if kind == "pods" and self.command == "POST":
            answer = kubernetes.create(json.loads(body))
        elif kind == "pods" and not name:
            answer["items"] = [kubernetes.show(pod) for pod in kubernetes.pods]
        elif kind == "pods" and name in kubernetes.pods:
            is_gone = self.command == "DELETE"
            answer = kubernetes.delete(name) if is_gone else kubernetes.show(name)
        elif kind != "events":
            self.send_error(404)
            return
        self.answer(200, json.dumps(answer).encode(), "application/json")
