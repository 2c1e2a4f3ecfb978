"""urllib3, requests, httpx and curl, over HTTP/1.1 and 2: each endpoint of httpbin, answered as without the proxy."""

import asyncio
import functools
import gzip
import json
import shutil
import subprocess
import tempfile
import time
import zlib

import asked
import brotlicffi
import httpbin
import httpx
import pytest
import requests
import urllib3

BASE = asked.url("http", asked.HERE.pages)
BEHIND = asked.url("http", asked.BEHIND.pages, asked.BEHIND)

# Of each endpoint some examples: method and target, and where there are any, fields and a body.
FORM = {"content-type": "application/x-www-form-urlencoded"}
EXAMPLES = {
    "/": ["GET /"],
    "/html": ["GET /html", "HEAD /html", "OPTIONS /html"],
    "/robots.txt": ["GET /robots.txt"],
    "/deny": ["GET /deny"],
    "/ip": ["GET /ip"],
    "/uuid": ["GET /uuid"],
    "/headers": ["GET /headers"],
    "/user-agent": ["GET /user-agent"],
    "/get": ["GET /get?a=1&b=%20%2F%3F&a=2", "GET /get?"],
    "/anything": [("POST /anything?x=y", FORM, b"a=1&b=2"), "DELETE /anything"],
    "/anything/<path:anything>": [("PUT /anything/a%2Db/c%20d", {}, b"{\"json\": [1, null]}"), "PATCH /anything/~a;b=c,d"],
    "/post": [("POST /post", FORM, b"k=v"), ("POST /post", {"content-type": "application/octet-stream"}, bytes(range(256)))],
    "/put": [("PUT /put", {"content-type": "application/json"}, b"{}")],
    "/patch": [("PATCH /patch", {"content-type": "text/plain"}, b"x")],
    "/delete": ["DELETE /delete", ("DELETE /delete", FORM, b"a=b")],
    "/gzip": ["GET /gzip"],
    "/deflate": ["GET /deflate"],
    "/brotli": ["GET /brotli"],
    "/redirect/<int:n>": ["GET /redirect/3"],
    "/redirect-to": [
        "GET /redirect-to?url=/get",
        ("POST /redirect-to?url=http%3A%2F%2Fexample.com%2F&status_code=307", FORM, b"a=b"),
    ],
    "/relative-redirect/<int:n>": ["GET /relative-redirect/2"],
    "/absolute-redirect/<int:n>": ["GET /absolute-redirect/2"],
    "/stream/<int:n>": ["GET /stream/50"],
    "/status/<codes>": [
        f"GET /status/{code}"
        for code in (200, 201, 202, 204, 205, 226, 301, 304, 400, 401, 402, 406, 407, 418, 426, 429, 451, 500, 505, 599)
    ] + ["DELETE /status/204", ("POST /status/409", {}, b"x"), "HEAD /status/404"],
    "/response-headers": [
        "GET /response-headers?x-a=1&x-a=2&set-cookie=a%3Db&set-cookie=c%3Dd",
        "POST /response-headers?cache-control=no-store",
    ],
    "/cookies": [("GET /cookies", {"cookie": "a=1; b=2"}, None)],
    "/cookies/set": ["GET /cookies/set?a=1&b=2"],
    "/cookies/set/<name>/<value>": ["GET /cookies/set/a/b"],
    "/cookies/delete": ["GET /cookies/delete?a"],
    "/forms/post": ["GET /forms/post"],
    "/basic-auth/<user>/<passwd>": ["GET /basic-auth/u/p", ("GET /basic-auth/u/p", {"authorization": "Basic dTpw"}, None)],
    "/hidden-basic-auth/<user>/<passwd>": ["GET /hidden-basic-auth/u/p"],
    "/bearer": [("GET /bearer", {"authorization": "Bearer t"}, None), "GET /bearer"],
    "/digest-auth/<qop>/<user>/<passwd>": ["GET /digest-auth/auth/u/p"],
    "/digest-auth/<qop>/<user>/<passwd>/<algorithm>": ["GET /digest-auth/auth/u/p/SHA-256"],
    "/digest-auth/<qop>/<user>/<passwd>/<algorithm>/<stale_after>": ["GET /digest-auth/auth/u/p/MD5/2"],
    "/delay/<delay>": ["GET /delay/0.2"],
    "/drip": ["GET /drip?duration=0.3&numbytes=30&delay=0"],
    "/base64/<value>": ["GET /base64/SFRUUEJJTiBpcyBhd2Vzb21l"],
    "/cache": ["GET /cache", ("GET /cache", {"if-modified-since": "Mon, 01 Jan 2024 00:00:00 GMT"}, None)],
    "/cache/<int:value>": ["GET /cache/60"],
    "/etag/<etag>": [
        "GET /etag/e",
        ("GET /etag/e", {"if-none-match": "e"}, None),
        ("GET /etag/e", {"if-match": "\"f\""}, None),
    ],
    "/encoding/utf8": ["GET /encoding/utf8"],
    "/bytes/<int:n>": ["GET /bytes/100000", "GET /bytes/0"],
    "/stream-bytes/<int:n>": ["GET /stream-bytes/100000?chunk_size=777", "GET /stream-bytes/0"],
    "/range/<int:numbytes>": [
        "GET /range/2000",
        ("GET /range/2000", {"range": "bytes=100-199"}, None),
        ("GET /range/9", {"range": "bytes=99-"}, None),
    ],
    "/links/<int:n>/<int:offset>": ["GET /links/9/4"],
    "/links/<int:n>": ["GET /links/9"],
    "/image": [("GET /image", {"accept": "image/webp"}, None), ("GET /image", {"accept": "text/plain"}, None)],
    "/image/png": ["GET /image/png"],
    "/image/jpeg": ["GET /image/jpeg"],
    "/image/webp": ["GET /image/webp"],
    "/image/svg": ["GET /image/svg", "HEAD /image/svg"],
    "/xml": ["GET /xml"],
    "/json": ["GET /json"],
    "/static/<path:filename>": ["GET /static/favicon.ico", "GET /static/none"],
}
# Says something else each time: only its status and the names of its fields are held against each other.
CHANGING = ("/uuid", "/digest-auth", "/cache", "/bytes", "/stream-bytes")
# What the proxy tells the application besides.
ADDED = ("Traceparent", "X-Forwarded-Host")
DECODERS = {
    None: lambda body: body, "gzip": gzip.decompress, "br": brotlicffi.decompress,
    "deflate": zlib.decompress,
}
# What of an answer is one hop's business, or the time's.
OWN_OF_A_HOP = {"connection", "transfer-encoding", "keep-alive", "date", "via"}


# What all of them say of themselves, so that the answers can be held against each other.
SAID = {"user-agent": "foreign", "accept": "*/*", "accept-encoding": "identity"}


def by_urllib3():
    pool = urllib3.PoolManager(ca_certs=asked.CA, timeout=20, retries=False)

    def ask(method, url, headers, body):
        answer = pool.request(method, url, headers=SAID | headers, body=body, redirect=False, preload_content=False)
        whole = answer.read(decode_content=False)
        answer.release_conn()
        return answer.status, list(answer.headers.items()), whole, answer.version / 10
    return ask


def httpx_client(version, client=httpx.Client):
    return client(
        http1=version == 1.1, http2=version == 2.0, verify=asked.tls_context() or True, trust_env=False, timeout=30,
        headers=SAID,
    )


def by_httpx(version):
    client = httpx_client(version)

    def ask(method, url, headers, body):
        client.cookies.clear()
        with client.stream(method, url, headers=headers, content=body) as answer:
            whole = b"".join(answer.iter_raw())
            return answer.status_code, answer.headers.multi_items(), whole, float(answer.http_version[5:])
    return ask


def by_curl(flag):
    def ask(method, url, headers, body):
        with tempfile.NamedTemporaryFile() as head, tempfile.NamedTemporaryFile() as sent:
            command = ["curl", "-q", "-sS", "--noproxy", "*", "--max-time", "20", "--cacert", asked.CA, "--raw", flag]
            command += ["-D", head.name]
            command += ["-I"] if method == "HEAD" else ["-X", method]
            for name, value in (SAID | headers).items():
                command += ["-H", f"{name}: {value}"]
            if body is not None:
                sent.write(body)
                sent.flush()
                command += ["--data-binary", f"@{sent.name}"]
                if "content-type" not in headers:
                    command += ["-H", "content-type:"]
            done = subprocess.run([*command, "-w", "\\n%{http_version}", url], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
            whole, _, version = done.stdout.rpartition(b"\n")
            blocks = head.read().split(b"\r\n\r\n")[:-1]
            lines = blocks[-1].decode("latin-1").split("\r\n")
            fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
            if method == "HEAD":
                whole = b""
            elif any(name.lower() == "transfer-encoding" for name, _ in fields):
                whole = unchunked(whole)
            return int(lines[0].split()[1]), fields, whole, float(version)
    return ask


def unchunked(raw):
    whole = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        count = int(size.split(b";")[0], 16)
        if count == 0:
            return whole
        whole, raw = whole + raw[:count], raw[count + 2:]
    raise AssertionError("chunks without an end")


CLIENTS = {
    "urllib3": (by_urllib3(), 1.1),
    "httpx-1.1": (by_httpx(1.1), 1.1),
    "httpx-2": (by_httpx(2.0), 2.0),
    # Over HTTP/1.1 in the clear and over HTTP/2 with TLS, to start half as many processes.
    "curl": (by_curl("--http2"), 2.0) if asked.HERE.tls else (by_curl("--http1.1"), 1.1),
}


@pytest.fixture(params=CLIENTS, scope="module")
def client(request):
    if request.param.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return CLIENTS[request.param]


def examples():
    for asks in EXAMPLES.values():
        for ask in asks:
            line, headers, body = (ask, {}, None) if isinstance(ask, str) else ask
            method, target = line.split(" ", 1)
            yield pytest.param(method, target, headers, body, id=line)


def test_no_endpoint_is_left_out():
    assert set(EXAMPLES) == {str(rule) for rule in httpbin.app.url_map.iter_rules()}


def comparable(answer, target):
    """What must be the same with and without the proxy: httpbin's own word on what it was asked included."""
    status, fields, body, _ = answer
    kept = sorted((name.lower(), value) for name, value in fields if name.lower() not in OWN_OF_A_HOP)
    if target.startswith(CHANGING):
        return status, [name for name, _ in kept], len(body) if "bytes" in target else None
    coding = dict(kept).get("content-encoding")
    text = DECODERS[coding](body) if body else body
    text = text.replace(BASE.encode(), BEHIND.encode())
    text = text.replace(f"localhost:{asked.HERE.pages}".encode(), f"localhost:{asked.BEHIND.pages}".encode())
    if dict(kept).get("content-type") == "application/json" and body:
        # One document, or one on each line.
        try:
            told = [json.loads(text)]
        except ValueError:
            told = [json.loads(line) for line in text.splitlines()]
        for one in told:
            for name in ADDED:
                one.get("headers", {}).pop(name, None)
            # Without a body, some say that it has none.
            if one.get("headers", {}).get("Content-Length") == "0":
                del one["headers"]["Content-Length"]
        text = told
        kept = [pair for pair in kept if pair[0] != "content-length"]
    return status, [(name, same(name, value)) for name, value in kept], text


def same(name, value):
    """`Allow` is in no order; other fields name the address that was asked."""
    return sorted(value.split(", ")) if name == "allow" else value.replace(BASE, BEHIND)


@functools.cache
def without_the_proxy(method, target, headers, body):
    return CLIENTS["urllib3"][0](method, BEHIND + target, dict(headers), body)


@pytest.mark.parametrize(("method", "target", "headers", "body"), list(examples()))
def test_answered_as_without_the_proxy(client, method, target, headers, body):
    ask, version = client
    through = ask(method, BASE + target, headers, body)
    assert through[3] == version
    assert "via" in {name.lower() for name, _ in through[1]}, "this has not come through the proxy"
    plain = without_the_proxy(method, target, tuple(headers.items()), body)
    assert comparable(through, target) == comparable(plain, target)


def test_trace_is_refused_and_reaches_nobody(client):
    status, fields, _, _ = client[0]("TRACE", BASE + "/status/418", {}, None)
    assert status in (405, 501)
    assert "proxy-status" in {name.lower() for name, _ in fields}


def test_chunks_of_a_body_arrive_as_one():
    for version in (1.1, 2.0):
        with httpx_client(version) as one:
            pieces = [b"%d," % index * 100 for index in range(500)]
            told = one.post(BASE + "/post", content=iter(pieces), headers={"content-type": "text/plain"}).json()
            assert told["data"].encode() == b"".join(pieces)


def test_four_mebibytes_up_and_down(client):
    body = b"0123456789abcdef" * (4 << 16)
    status, _, whole, _ = client[0]("POST", BASE + "/anything", {"content-type": "text/plain"}, body)
    assert status == 200
    assert json.loads(whole)["data"].encode() == body


def test_curl_waits_for_100_continue():
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        ["curl", "-q", "-sSv", "--noproxy", "*", "--http1.1", "--cacert", asked.CA, "-A", SAID["user-agent"],
         "-H", "expect: 100-continue", "-d", "a=b", BASE + "/post"],
        capture_output=True, text=True, timeout=20,
    )
    assert "HTTP/1.1 100 Continue" in done.stderr
    assert json.loads(done.stdout)["form"] == {"a": "b"}


def requests_session():
    session = requests.Session()
    session.verify, session.trust_env = asked.CA, False
    session.headers.update(SAID)
    return session


def test_a_session_follows_redirects_and_keeps_cookies():
    with requests_session() as session:
        assert session.get(BASE + "/cookies/set?a=1&b=2", timeout=20).json() == {"cookies": {"a": "1", "b": "2"}}
        assert len(session.get(BASE + "/redirect/6", timeout=20).history) == 6
        assert session.get(BASE + "/absolute-redirect/3", timeout=20).url.endswith("/get")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512"])
def test_digest_authentication_of_requests(algorithm):
    with requests_session() as session:
        session.auth = requests.auth.HTTPDigestAuth("u", "p")
        assert session.get(f"{BASE}/digest-auth/auth/u/p/{algorithm}", timeout=20).json()["authenticated"] is True
        session.auth = requests.auth.HTTPDigestAuth("u", "wrong")
        assert session.get(f"{BASE}/digest-auth/auth/u/p/{algorithm}", timeout=20).status_code == 401


def test_bodies_are_decoded_by_their_coding():
    with requests_session() as session:
        for path, key in (("/gzip", "gzipped"), ("/deflate", "deflated")):
            assert session.get(BASE + path, timeout=20).json()[key] is True


@pytest.mark.parametrize("version", [1.1, 2.0])
def test_what_drips_is_passed_on_as_it_comes(version):
    with httpx_client(version) as one:
        times = []
        with one.stream("GET", BASE + "/drip?duration=1&numbytes=5&delay=0") as answer:
            for piece in answer.iter_raw():
                times += [time.monotonic()] * len(piece)
        assert len(times) == 5
        assert times[-1] - times[0] > 0.5, "all came at the end"


@pytest.mark.parametrize("version", [1.1, 2.0])
def test_who_leaves_in_the_middle_harms_nobody(version):
    with httpx_client(version) as one:
        for _ in range(10):
            with one.stream("GET", BASE + "/stream-bytes/1000000?chunk_size=1000") as answer:
                next(answer.iter_raw())
        assert one.get(BASE + "/get").status_code == 200


@pytest.mark.parametrize("version", [1.1, 2.0])
def test_many_at_once_get_their_own_answers(version):
    async def ask(one, index):
        answer = await one.post(f"{BASE}/anything/{index}", content=b"%d" % index)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["data"], told["url"]) == (str(index), f"{BASE}/anything/{index}")

    async def all_of_them():
        async with httpx_client(version, httpx.AsyncClient) as one:
            await asyncio.gather(*(ask(one, index) for index in range(150)))

    asyncio.run(all_of_them())
