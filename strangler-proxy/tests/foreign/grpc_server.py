"""A gRPC server that knows nothing of proxies: `grpc_server.py PORT [PEM]`. Its messages are plain bytes."""

import collections
import concurrent.futures
import sys
import threading

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

MESSAGE_BYTES_MAX = 32 << 20

seen = collections.Counter()
checked = health.HealthServicer()


def echo(request, context):
    context.send_initial_metadata([(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")])
    context.set_trailing_metadata([("x-answered", str(len(request))), ("x-raw-bin", bytes(range(256)))])
    return request


def split(request, context):
    for index in range(int(request)):
        yield str(index).encode()


def collect(requests, context):
    return b",".join(requests)


def chat(requests, context):
    for request in requests:
        yield request


def fail(request, context):
    """As many messages as asked for, then a status."""
    count, code = request.decode().split()
    for index in range(int(count)):
        yield str(index).encode()
    context.set_trailing_metadata([("x-why", "asked for")])
    context.abort(next(one for one in grpc.StatusCode if one.value[0] == int(code)), "so: ä, 100 % \n")


def wait(request, context):
    """Answers never; counts who left."""
    name = request.decode()
    ended = threading.Event()

    def end():
        seen[name] += 1
        ended.set()

    seen[f"time of {name}"] = int((context.time_remaining() or 0) * 1000)
    context.add_callback(end)
    yield b"begun"
    ended.wait(30)


def ask(request, context):
    """What has been seen of this."""
    return str(seen[request.decode()]).encode()


def turn(request, context):
    """Sets what the health service says of `foreign.Echo`."""
    checked.set("foreign.Echo", health_pb2.HealthCheckResponse.ServingStatus.Value(request.decode()))
    return b""


def main():
    port, pem = sys.argv[1], sys.argv[2:]
    size = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.max_send_message_length", MESSAGE_BYTES_MAX)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=64), options=size)
    unary, out, into, both = (
        grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler,
        grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler,
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("foreign.Echo", {
        "Echo": unary(echo), "Ask": unary(ask), "Turn": unary(turn),
        "Split": out(split), "Fail": out(fail), "Wait": out(wait), "Collect": into(collect), "Chat": both(chat),
    })])
    health_pb2_grpc.add_HealthServicer_to_server(checked, server)
    for name in ("", "foreign.Echo"):
        checked.set(name, health_pb2.HealthCheckResponse.SERVING)
    if pem:
        both_parts = open(pem[0], "rb").read()
        server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(both_parts, both_parts)]))
    else:
        server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
