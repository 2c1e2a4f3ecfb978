"""A WebSocket server that knows nothing of proxies: `websocket_server.py PORT [PEM]`."""

import asyncio
import ssl
import sys

from websockets.asyncio.server import serve


async def answer(connection):
    what = connection.request.path.split("/")[2:]
    if what[0] == "echo":
        async for message in connection:
            await connection.send(message)
    elif what[0] == "close":
        await connection.close(int(what[1]), "as asked")
    elif what[0] == "cut":
        await connection.send("begun")
        connection.transport.abort()
    elif what[0] == "push":
        for index in range(int(what[1])):
            await connection.send(str(index))
    elif what[0] == "headers":
        fields = connection.request.headers.raw_items()
        await connection.send("\n".join(f"{name.lower()}: {value}" for name, value in fields))


def refuse(connection, request):
    if request.path == "/sockets/refused":
        return connection.respond(401, "who are you?\n")
    return None


def choose(_, offered):
    """Who offers none is served without."""
    return next((name for name in ("echo.v2", "echo.v1") if name in offered), None)


async def main():
    port, pem = int(sys.argv[1]), sys.argv[2:]
    context = None
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem[0])
    async with serve(
        answer, "127.0.0.1", port, ssl=context, process_request=refuse,
        max_size=32 << 20, backlog=1024, select_subprotocol=choose,
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
