"""Starts the foreign applications and the proxy in front of them, runs their clients through it, and prints a table."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

import trustme

HERE = pathlib.Path(__file__).parent
START_SECONDS = 20
SUITE_SECONDS = 400

# How a client reaches the proxy, and the proxy the application.
WAYS = {
    "direct": "no proxy",
    "clear": "http, http behind",
    "both": "https, https behind",
}

# (what asks, its file, the ways, the version of HTTP that it speaks). A line begins when those before it in its list have
# ended: httpbin draws its seeded bytes from a generator that all requests share, so its own tests have one for themselves.
SUITES = [
    [
        ("httpbin's own tests", "httpbin", "direct", "1.1"),
        ("websockets", "test_websockets.py", "direct", "1.1"),
        ("websockets", "test_websockets.py", "clear", "1.1"),
        ("websockets", "test_websockets.py", "both", "1.1"),
    ],
    [
        ("httpbin's own tests", "httpbin", "clear", "1.1"),
        ("httpbin's own tests", "httpbin", "clear", "2"),
        ("requests, httpx, curl", "test_clients.py", "clear", "1.1, 2"),
    ],
    [
        ("httpbin's own tests", "httpbin", "both", "1.1"),
        ("httpbin's own tests", "httpbin", "both", "2"),
        ("requests, httpx, curl", "test_clients.py", "both", "1.1, 2"),
    ],
    [
        ("grpcio", "test_grpc.py", "direct", "2"),
        ("grpcio", "test_grpc.py", "clear", "2"),
        ("grpcio", "test_grpc.py", "both", "2"),
    ],
]

PROXY = """
listen = [
    "127.0.0.1:{clear}",
    {{ address = "127.0.0.1:{secure}", tls = {{ certificates = [{{ cert = "server.pem", key = "server.pem" }}] }} }},
]
admin.enabled = false
from = "httpbin"
forwarded.trust = ["127.0.0.0/8"] # the clients are taken for a balancer: httpbin's tests say what they came by

[upstreams.httpbin]
endpoints = ["{http}://127.0.0.1:{httpbin}"]
{tls}

[upstreams.pages]
endpoints = ["{http}://127.0.0.1:{pages}"]
{tls}

[upstreams.calls]
endpoints = ["{h2}://127.0.0.1:{calls}"]
health = {{ grpc = "" }}
{tls_h2}

[upstreams.sockets]
endpoints = ["{http}://127.0.0.1:{sockets}"]
{tls}

[[routes]]
name = "echo"
grpc = "foreign.Echo"
to = "calls"
stage = "retired"
before = ["pages"]

[[routes]]
name = "health"
grpc = "grpc.health.v1.Health"
to = "calls"
stage = "retired"
before = ["pages"]

[[routes]]
name = "sockets"
path = "/sockets/{{*rest}}"
to = "sockets"
stage = "retired"
before = ["pages"]

[[routes]]
name = "pages"
header = {{ user-agent = "foreign" }}
to = "pages"
stage = "live"
fallback = "none"
"""


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Stand:
    """Everything that runs; all of it ends with the `with` block."""

    def __init__(self, folder, proxy):
        self.folder = folder
        self.proxy = proxy
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, process in self.processes:
            process.terminate()
        for _, process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self, name, command, port):
        log = open(self.folder / f"{name}.log", "wb")
        self.processes.append((name, subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)))
        return name, port

    def wait(self, started):
        for name, port in started:
            deadline = time.monotonic() + START_SECONDS
            while True:
                self.check()
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        sys.exit(f"{name} does not listen after {START_SECONDS} s\n{self.log(name)}")
                    time.sleep(0.05)

    def check(self):
        for name, process in self.processes:
            if process.poll() is not None:
                sys.exit(f"{name} has ended with {process.returncode}\n{self.log(name)}")

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def applications(self, which, tls):
        """Two of httpbin, a gRPC server and a WebSocket server; their ports."""
        ports = dict(zip(("httpbin", "pages", "calls", "sockets"), free_ports(4)))
        pem = [str(self.folder / "server.pem")] if tls else []
        self.wait([
            self.httpbin(f"httpbin-{which}", ports["httpbin"], pem),
            self.httpbin(f"pages-{which}", ports["pages"], pem),
            self.server(f"calls-{which}", "grpc_server.py", ports["calls"], pem),
            self.server(f"sockets-{which}", "websocket_server.py", ports["sockets"], pem),
        ])
        return ports

    def httpbin(self, name, port, pem=()):
        # By itself it closes a connection that was idle for two seconds, at the very moment at which the next request may
        # come; what is behind a proxy has to wait longer than that does. What is no `GET` is not sent twice.
        command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--keep-alive", "300"]
        command += ["--threads", "32", "--bind", f"127.0.0.1:{port}"]
        for file in pem:
            command += ["--certfile", file, "--keyfile", file]
        return self.start(name, [*command, "httpbin:app"], port)

    def server(self, name, file, port, pem):
        return self.start(name, [sys.executable, HERE / file, str(port), *pem], port)

    def front(self, which, ports, tls):
        """A proxy in front of these; its ports in the clear and over TLS."""
        clear, secure = free_ports(2)
        file = self.folder / f"proxy-{which}.toml"
        file.write_text(PROXY.format(
            clear=clear, secure=secure, **ports,
            http="https" if tls else "http", h2="https" if tls else "h2c",
            tls='tls = { ca = "ca.pem" }' if tls else "",
            tls_h2='protocol = "http2"\ntls = { ca = "ca.pem" }' if tls else "",
        ))
        checked = subprocess.run([self.proxy, "check", "--config", file], capture_output=True, text=True)
        if checked.returncode != 0:
            sys.exit(checked.stdout + checked.stderr)
        self.wait([self.start(f"proxy-{which}", [self.proxy, "run", "--config", file], clear)])
        return clear, secure


def certificates(folder):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server = authority.issue_cert("localhost", "127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")


def bounded(command, **more):
    """Runs it; one that does not end is one that failed, with what it has said."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SUITE_SECONDS, **more)
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"") + f"\nnot done after {SUITE_SECONDS} s\n".encode()
        return subprocess.CompletedProcess(command, 1, said)


def suite(stand, kept, line):
    name, file, way, version = line
    report = stand.folder / f"{file}-{way}-{version}.xml"
    if file == "httpbin":
        files = ["-p", "httpbin_suite", kept / "httpbin/tests/test_httpbin.py"]
    else:
        files = [HERE / file]
    began = time.monotonic()
    ended = bounded(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", stand.folder,
         "--tb=short", "--durations=8", "-o", "xfail_strict=true", f"--junitxml={report}", *files],
        env={**os.environ, "PYTHONPATH": str(HERE), "FOREIGN_STAND": str(stand.folder / "stand.json"),
             "FOREIGN_WAY": way, "FOREIGN_HTTP": version, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=stand.folder,
    )
    seconds = time.monotonic() - began
    try:
        counts = xml.parse(report).getroot().find("testsuite").attrib
        skipped = int(counts["skipped"])
        failed = int(counts["failures"]) + int(counts["errors"])
        passed = int(counts["tests"]) - skipped - failed
    except (FileNotFoundError, xml.ParseError):
        passed, failed, skipped = 0, 1, 0
    if ended.returncode != 0 and failed == 0:
        failed = 1
    # What ran nothing has shown nothing.
    if passed == 0 and failed == 0:
        failed = 1
    return name, way, version, passed, failed, skipped, seconds, ended.stdout.decode(errors="replace")


def proxy_binary(arguments):
    if arguments.proxy:
        return arguments.proxy.resolve()
    command = ["cargo", "build", "--quiet", "--locked", "-p", "strangler-proxy", "--bin", "strangler-proxy"]
    command += ["--release"] if arguments.release else []
    subprocess.run(command, cwd=arguments.root, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", arguments.root / "target"))
    return (target / ("release" if arguments.release else "debug") / "strangler-proxy").resolve()


def main():
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    parser.add_argument("--release", action="store_true", help="with the optimised proxy")
    parser.add_argument("--proxy", type=pathlib.Path, help="with this binary instead of one that is built")
    parser.add_argument("--only", default="", help="only suites whose file has this in its name")
    parser.add_argument("--kept", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    proxy = proxy_binary(arguments)
    wanted = [[line for line in lane if arguments.only in line[1]] for lane in SUITES]

    folder = pathlib.Path(tempfile.mkdtemp(prefix="foreign-"))
    certificates(folder)
    with Stand(folder, proxy) as stand:
        plain = stand.applications("plain", tls=False)
        secured = stand.applications("secured", tls=True)
        [alone] = free_ports(1)
        stand.wait([stand.httpbin("httpbin-alone", alone)])
        clear, _ = stand.front("plain", plain, tls=False)
        _, both = stand.front("secured", secured, tls=True)

        ways = {
            "direct": {"tls": False, **plain, "httpbin": alone},
            "clear": {"tls": False, **dict.fromkeys(plain, clear), "behind": {"tls": False, **plain}},
            "both": {"tls": True, **dict.fromkeys(secured, both), "behind": {"tls": True, **secured}},
        }
        (folder / "stand.json").write_text(json.dumps({"ca": str(folder / "ca.pem"), "ways": ways}))
        with concurrent.futures.ThreadPoolExecutor(max_workers=len(SUITES)) as pool:
            lanes = pool.map(lambda lane: [suite(stand, arguments.kept, line) for line in lane], wanted)
            results = [line for lane in lanes for line in lane]
        stand.check()
        logs = {name: stand.log(name) for name, _ in stand.processes}

    failed = print_table(results)
    panics = [name for name, log in logs.items() if name.startswith("proxy") and "panicked" in log]
    for name in panics:
        print(f"\n{name} has panicked:\n{logs[name]}")
    if failed or panics:
        print(f"\nlogs and reports: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def print_table(results):
    for name, way, version, _, failed, _, _, output in results:
        if failed:
            print(f"\n== {name}, {WAYS[way]}, HTTP/{version}\n{output}")
    print(f"{'':24}{'':22}{'HTTP':>8}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name, way, version, passed, failed, skipped, seconds, _ in results:
        print(f"{name:24}{WAYS[way]:22}{version:>8}{passed:8}{failed:8}{skipped:9}{seconds:9.1f}")
    passed, failed, skipped = (sum(line[index] for line in results) for index in (3, 4, 5))
    print(f"{'all':24}{'':22}{'':>8}{passed:8}{failed:8}{skipped:9}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
