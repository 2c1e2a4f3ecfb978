"""The client of `websockets`: texts, bytes, pings, closing, compression, large messages, many at once."""

import asyncio
import inspect
import os

import asked
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

SIZE_MAX = 32 << 20


def open_socket(path, **more):
    tls = {"ssl": asked.tls_context()} if asked.HERE.tls else {}
    url = asked.url("ws", asked.HERE.sockets) + path
    return connect(url, max_size=SIZE_MAX, proxy=None, **tls, **more)


def asynchronous(test):
    """Runs it in a loop of its own, for at most this long."""
    def run(**given):
        asyncio.run(asyncio.wait_for(test(**given), 60))
    run.__name__ = test.__name__
    run.__signature__ = inspect.signature(test)
    return run


@asynchronous
async def test_texts_and_bytes_come_back_as_what_they_were():
    async with open_socket("/sockets/echo") as socket:
        for message in ("", "text", "ä€😀" * 100, b"", bytes(range(256)), "x" * 125, "x" * 126, "x" * 65535, "x" * 65536):
            await socket.send(message)
            assert await socket.recv() == message


@asynchronous
async def test_the_answer_has_come_through_the_proxy():
    async with open_socket("/sockets/echo") as socket:
        assert ("via" in socket.response.headers) == asked.IS_PROXIED


@asynchronous
async def test_the_server_is_told_who_asks():
    async with open_socket("/sockets/headers", additional_headers={"cookie": "sid=1", "x-own": "2"}) as socket:
        lines = (await socket.recv()).splitlines()
        assert "cookie: sid=1" in lines and "x-own: 2" in lines
        assert any(line.startswith("x-forwarded-for: 127.0.0.1") for line in lines) == asked.IS_PROXIED


@asynchronous
async def test_pings_of_the_client_are_answered():
    async with open_socket("/sockets/echo") as socket:
        for data in (b"", b"1", os.urandom(125)):
            assert await (await socket.ping(data)) < 10


@asynchronous
async def test_messages_in_pieces():
    async with open_socket("/sockets/echo") as socket:
        async def pieces():
            for index in range(100):
                yield str(index)
        await socket.send(pieces())
        assert await socket.recv() == "".join(map(str, range(100)))


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999])
@asynchronous
async def test_a_closing_code_of_the_server_arrives(code):
    async with open_socket(f"/sockets/close/{code}") as socket:
        with pytest.raises(ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (code, "as asked")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4000])
@asynchronous
async def test_a_closing_code_of_the_client_is_answered(code):
    async with open_socket("/sockets/echo") as socket:
        await socket.close(code, "enough")
        assert socket.close_code == code


@asynchronous
async def test_a_server_that_cuts_the_connection_is_seen_to():
    async with open_socket("/sockets/cut") as socket:
        with pytest.raises(ConnectionClosedError):
            while True:
                await socket.recv()
        assert socket.close_code == 1006


@pytest.mark.parametrize(
    ("size", "compression"), [(1 << 16, "deflate"), (1 << 20, "deflate"), (1 << 20, None), (16 << 20, None)]
)
@asynchronous
async def test_large_messages(size, compression):
    async with open_socket("/sockets/echo", compression=compression) as socket:
        agreed = "sec-websocket-extensions" in socket.response.headers
        assert agreed == (compression is not None)
        message = os.urandom(size)
        await socket.send(message)
        assert await socket.recv() == message


@asynchronous
async def test_a_subprotocol_is_agreed_on():
    async with open_socket("/sockets/echo", subprotocols=["none.such", "echo.v1"]) as socket:
        assert socket.subprotocol == "echo.v1"


@asynchronous
async def test_a_refusal_arrives_whole():
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket("/sockets/refused"):
            pass
    assert (refused.value.response.status_code, refused.value.response.body) == (401, b"who are you?\n")


@asynchronous
async def test_what_is_pushed_comes_whole_and_in_order():
    async with open_socket("/sockets/push/5000") as socket:
        assert [message async for message in socket] == [str(index) for index in range(5000)]


@asynchronous
async def test_a_hundred_at_once_hear_their_own():
    async def one(name):
        async with open_socket("/sockets/echo") as socket:
            for step in range(20):
                await socket.send(f"{name}.{step}")
                assert await socket.recv() == f"{name}.{step}"
    await asyncio.gather(*(one(name) for name in range(100)))
