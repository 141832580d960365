"""What a program on docker-py does, told as JSON: run against the engine itself and through the proxy."""
import io
import json
import sys
import tarfile

import docker

client = docker.DockerClient(base_url="unix://" + sys.argv[1], timeout=30)
outcome = {"ping": client.ping(), "api": client.version()["ApiVersion"]}
options = {"network_mode": "none"}

outcome["output"] = client.containers.run("busybox", ["echo", "hello"], remove=True, **options).decode()
try:
    client.containers.run("busybox", ["sh", "-c", "echo oops >&2; exit 3"], remove=True, **options)
except docker.errors.ContainerError as error:
    outcome["failure"] = [error.exit_status, error.stderr.decode()]

web = client.containers.run("busybox", ["sh", "-c", "echo started; exec sleep 1000"], detach=True, name="py", **options)
outcome["logs"] = next(web.logs(stream=True, follow=True)).decode()
code, streams = web.exec_run(["sh", "-c", "echo out; echo err >&2; exit 4"], demux=True)
outcome["exec"] = [code, streams[0].decode(), streams[1].decode()]
socket = client.api.exec_start(client.api.exec_create(web.id, ["cat"], stdin=True)["Id"], socket=True)
socket._sock.sendall(b"through a socket\n")
socket._sock.shutdown(1)
received = b""
while True:
    part = socket._sock.recv(4096)
    if not part:
        break
    received += part
outcome["socket"] = received[8:].decode()

archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    entry = tarfile.TarInfo("note")
    entry.size = 4
    tar.addfile(entry, io.BytesIO(b"note"))
outcome["put"] = web.put_archive("/tmp", archive.getvalue())
chunks, stat = web.get_archive("/tmp/note")
with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
    outcome["get"] = [stat["name"], stat["size"], tar.extractfile("note").read().decode()]

volume = client.volumes.create("py-data", labels={"kind": "test"})
outcome["volume"] = client.volumes.get("py-data").attrs["Labels"]
try:
    client.containers.get("nobody")
except docker.errors.NotFound as error:
    outcome["missing"] = error.explanation
web.kill()
outcome["wait"] = web.wait()["StatusCode"]
web.remove()
volume.remove()
image, _ = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo built > /built\n"), tag="py-built", network_mode="none")
outcome["built"] = client.containers.run("py-built", ["cat", "/built"], remove=True, **options).decode()
client.images.remove("py-built")
print(json.dumps(outcome, sort_keys=True))
