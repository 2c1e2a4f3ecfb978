"""Where the tests of this run find what they ask."""

import json
import os
import ssl
import types

STAND = json.loads(open(os.environ["FOREIGN_STAND"]).read())
WAY = os.environ["FOREIGN_WAY"]
HTTP = os.environ["FOREIGN_HTTP"]
CA = STAND["ca"]
HERE = types.SimpleNamespace(**STAND["ways"][WAY])
# The same application without the proxy.
BEHIND = types.SimpleNamespace(**STAND["ways"][WAY].get("behind", {}))
IS_PROXIED = WAY != "direct"


def url(scheme, port, there=HERE):
    return f"{scheme}{'s' if there.tls else ''}://localhost:{port}"


def tls_context():
    return ssl.create_default_context(cafile=CA) if HERE.tls else None
