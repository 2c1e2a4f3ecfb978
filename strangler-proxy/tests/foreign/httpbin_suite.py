"""A plugin of pytest: httpbin's own tests ask over the wire, instead of calling the application in their process."""

import asked
import httpbin
import httpx
import pytest
from werkzeug.test import EnvironBuilder

# What holds only without a wire, or without the server that runs httpbin here.
UNFIT = {
    "test_post_chunked": "wants the 501 of a server that cannot read chunks; gunicorn can. test_clients.py sends them",
}
# What the proxy refuses on purpose. test_clients.py holds how.
REFUSED = {
    "test_methods__to_status_endpoint": "TRACE",
}


class Wire:
    """As much of werkzeug's test client as the tests use."""

    def __init__(self):
        two = asked.HTTP == "2"
        self.client = httpx.Client(
            base_url=asked.url("http", asked.HERE.httpbin), http1=not two, http2=two,
            verify=asked.tls_context() or True, timeout=20, trust_env=False,
        )
        # httpbin is asked what the tests ask and nothing that this client would like to add.
        self.client.headers.clear()

    def open(self, path, method="GET", environ_base=None, headers=(), **more):
        headers = headers.items() if hasattr(headers, "items") else headers
        # A field without a name cannot be sent.
        headers = [(name, value) for name, value in headers if name]
        built = EnvironBuilder(path=path, method=method, headers=headers, **more)
        environ = built.get_environ()
        body = environ["wsgi.input"].read()
        sent = [(name, value) for name, value in built.headers.items()]
        if environ.get("CONTENT_TYPE") and not any(name.lower() == "content-type" for name, _ in sent):
            sent.append(("Content-Type", environ["CONTENT_TYPE"]))
        target = environ["REQUEST_URI"]
        request = self.client.build_request(method, target, headers=sent, content=body or None)
        answer = self.client.send(request, stream=True)
        try:
            whole = b"".join(answer.iter_raw())
        finally:
            answer.close()
        assert answer.http_version == f"HTTP/{asked.HTTP if asked.HTTP == '2' else '1.1'}"
        if asked.IS_PROXIED:
            assert "via" in answer.headers, "this has not come through the proxy"
        # The tests know this host by `http://` alone, but where they say otherwise themselves.
        secured = asked.url("http", asked.HERE.httpbin)
        plain = secured.replace("https://", "http://")
        fields = [(name, value.replace(secured, plain)) for name, value in answer.headers.multi_items()]
        if "x-forwarded-proto" not in request.headers and answer.headers.get("content-type") == "application/json":
            whole = whole.replace(secured.encode(), plain.encode())
        return httpbin.app.response_class([whole], status=answer.status_code, headers=fields, direct_passthrough=True)

    def __getattr__(self, verb):
        return lambda path, **more: self.open(path, method=verb.upper(), **more)


@pytest.fixture(autouse=True, scope="session")
def over_the_wire():
    wire = Wire()
    httpbin.app.test_client = lambda: wire
    yield
    wire.client.close()


def pytest_collection_modifyitems(config, items):
    unfit = {**UNFIT, **(REFUSED if asked.IS_PROXIED else {})}
    names = {item.name for item in items}
    assert names >= set(unfit), "a test that was left out is gone: look what became of it"
    config.hook.pytest_deselected(items=[item for item in items if item.name in unfit])
    items[:] = [item for item in items if item.name not in unfit]
