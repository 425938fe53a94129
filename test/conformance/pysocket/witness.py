"""A witness: sapcloudconnectorpythonsocket, unmodified, opens a connection
through the connectivity proxy and asks the broker at its end for the APIs that
it serves. In and out as in hdb/witness.js.

The package logs the whole token, at level INFO: logging stays as it is, off.
"""
import json
import os
import struct

from sapcloudconnectorpythonsocket import CloudConnectorSocket

CORRELATION = 0x1234567


def ask(sock):
    # ApiVersions v0: size, api key 18, version 0, correlation id, client id.
    client_id = b"witness"
    sock.sendall(struct.pack(">ihhih", 10 + len(client_id), 18, 0, CORRELATION, len(client_id)) + client_id)
    with sock.makefile("rb") as received:
        answer = received.read(*struct.unpack(">i", received.read(4)))
    correlation, code, apis = struct.unpack_from(">ihi", answer)
    if correlation != CORRELATION:
        return {"error": "wrong correlation id"}
    if code != 0:
        return {"error": f"error code {code}"}
    return {"apis": apis}


def connect_and_ask(env):
    with CloudConnectorSocket() as sock:
        try:
            sock.connect(
                env["TARGET_HOST"], int(env["TARGET_PORT"]),
                env["PROXY_HOST"], int(env["PROXY_PORT"]),
                env["PROXY_TOKEN"], env.get("PROXY_LOCATION"),
            )
        except Exception as err:  # the package raises nothing more special
            return {"error": str(err)}
        return ask(sock)


print(json.dumps(connect_and_ask(os.environ)))
