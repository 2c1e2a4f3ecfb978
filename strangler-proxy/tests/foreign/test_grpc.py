"""grpcio's client: every kind of call, statuses, deadlines, cancelling, large messages, and the health service."""

import concurrent.futures
import os
import threading
import time
import uuid

import asked
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

SIZE = [("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", 32 << 20)]


@pytest.fixture(scope="module")
def channel():
    address = f"localhost:{asked.HERE.calls}"
    if asked.HERE.tls:
        roots = open(asked.CA, "rb").read()
        opened = grpc.secure_channel(address, grpc.ssl_channel_credentials(roots), options=SIZE)
    else:
        opened = grpc.insecure_channel(address, options=SIZE)
    with opened:
        grpc.channel_ready_future(opened).result(timeout=10)
        yield opened


def until(what, met):
    deadline = time.monotonic() + 10
    while not met():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def unary(channel, name):
    return channel.unary_unary(f"/foreign.Echo/{name}")


def test_unary(channel):
    for size in (0, 1, 1000, 70_000):
        message = os.urandom(size)
        assert unary(channel, "Echo")(message, timeout=10) == message


def test_metadata_goes_both_ways(channel):
    raw = bytes(range(256))
    sent = (("x-one", "a"), ("x-one", "b"), ("x-text", "~ 100 % , ;=\""), ("x-any-bin", raw))
    answer, call = unary(channel, "Echo").with_call(b"12345", metadata=sent, timeout=10)
    assert answer == b"12345"
    told = [pair for pair in call.initial_metadata() if pair[0] in ("x-one", "x-text", "x-any-bin")]
    assert sorted(told) == sorted(sent)
    assert dict(call.trailing_metadata())["x-answered"] == "5"
    assert dict(call.trailing_metadata())["x-raw-bin"] == raw
    assert call.code() == grpc.StatusCode.OK


def test_server_streaming(channel):
    assert list(channel.unary_stream("/foreign.Echo/Split")(b"2000", timeout=20)) == [b"%d" % index for index in range(2000)]
    assert list(channel.unary_stream("/foreign.Echo/Split")(b"0", timeout=10)) == []


def test_client_streaming(channel):
    call = channel.stream_unary("/foreign.Echo/Collect")
    sent = [b"%d" % index for index in range(2000)]
    assert call(iter(sent), timeout=20) == b",".join(sent)
    assert call(iter([]), timeout=10) == b""


def test_each_message_of_a_chat_is_answered_before_the_next_is_sent(channel):
    answered = threading.Semaphore(1)

    def questions():
        for index in range(200):
            assert answered.acquire(timeout=10)
            yield b"%d" % index

    got = []
    for answer in channel.stream_stream("/foreign.Echo/Chat")(questions(), timeout=20):
        got.append(answer)
        answered.release()
    assert got == [b"%d" % index for index in range(200)]


@pytest.mark.parametrize("messages", [0, 3])
@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_a_status_arrives_with_its_words_and_trailers(channel, code, messages):
    call = channel.unary_stream("/foreign.Echo/Fail")(b"%d %d" % (messages, code.value[0]), timeout=10)
    got = []
    with pytest.raises(grpc.RpcError):
        for message in call:
            got.append(message)
    assert len(got) == messages
    assert (call.code(), call.details()) == (code, "so: ä, 100 % \n")
    assert dict(call.trailing_metadata())["x-why"] == "asked for"


def test_a_method_that_nobody_has(channel):
    with pytest.raises(grpc.RpcError) as refused:
        unary(channel, "Nothing")(b"", timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def left(channel, name):
    return int(unary(channel, "Ask")(name.encode(), timeout=10))


def test_a_deadline_ends_both_sides(channel):
    late = uuid.uuid4().hex
    began = time.monotonic()
    call = channel.unary_stream("/foreign.Echo/Wait")(late.encode(), timeout=0.5)
    with pytest.raises(grpc.RpcError):
        assert next(call) == b"begun"
        next(call)
    assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 3
    assert 0 < left(channel, f"time of {late}") <= 500, "the server is told how long it has"
    until("the server sees the end", lambda: left(channel, late) == 1)


def test_who_cancels_is_gone_for_the_server_too(channel):
    gone = uuid.uuid4().hex
    call = channel.unary_stream("/foreign.Echo/Wait")(gone.encode(), timeout=20)
    assert next(call) == b"begun"
    call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED
    until("the server sees it", lambda: left(channel, gone) == 1)


@pytest.mark.parametrize("size", [1 << 20, 4 << 20, 16 << 20])
def test_large_messages(channel, size):
    message = os.urandom(size)
    assert unary(channel, "Echo")(message, timeout=60) == message
    sent = [message, b"", message]
    assert list(channel.stream_stream("/foreign.Echo/Chat")(iter(sent), timeout=60)) == sent


@pytest.mark.parametrize("kind", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages(channel, kind):
    message = b"abc" * 100_000
    assert unary(channel, "Echo")(message, compression=kind, timeout=10) == message


def test_six_hundred_calls_by_many_at_once_get_their_own_answers(channel):
    call = unary(channel, "Echo")
    with concurrent.futures.ThreadPoolExecutor(max_workers=32) as pool:
        sent = [b"%d:" % index + b"x" * (index * 37 % 5000) for index in range(600)]
        assert list(pool.map(lambda message: call(message, timeout=30), sent)) == sent


def test_forty_chats_at_once(channel):
    def chat(index):
        sent = [b"%d.%d" % (index, step) for step in range(20)]
        return list(channel.stream_stream("/foreign.Echo/Chat")(iter(sent), timeout=30)) == sent

    with concurrent.futures.ThreadPoolExecutor(max_workers=20) as pool:
        assert all(pool.map(chat, range(40)))


def test_health_is_told_and_followed(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    ask = health_pb2.HealthCheckRequest
    status = health_pb2.HealthCheckResponse.ServingStatus
    assert stub.Check(ask(service=""), timeout=10).status == status.Value("SERVING")
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(ask(service="nobody"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    watched = stub.Watch(ask(service="foreign.Echo"), timeout=20)
    assert next(watched).status == status.Value("SERVING")
    try:
        unary(channel, "Turn")(b"NOT_SERVING", timeout=10)
        # Others that ask at the same time turn it too: what counts is that the change comes while the call is open.
        while next(watched).status != status.Value("NOT_SERVING"):
            pass
    finally:
        unary(channel, "Turn")(b"SERVING", timeout=10)
    watched.cancel()
