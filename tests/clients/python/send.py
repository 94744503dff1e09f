"""Sends NDJSON events from stdin with pylogbeat, in windows, until each is acknowledged.

pylogbeat never restarts its sequence and waits until the ack equals its last number; after an error everything
unacknowledged goes out again over a new connection.
"""

import argparse
import json
import sys
import time

from pylogbeat import PyLogBeatClient


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", default="127.0.0.1:5044")
    parser.add_argument("--window", type=int, default=500)
    parser.add_argument("--give-up", type=float, default=120)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--ca")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()

    events = [json.loads(line) for line in sys.stdin if line.strip()]
    windows = [events[i:i + args.window] for i in range(0, len(events), args.window)]
    host, port = args.to.rsplit(":", 1)
    deadline = time.monotonic() + args.give_up
    connections = 0
    while windows:
        connections += 1
        client = PyLogBeatClient(
            host,
            int(port),
            timeout=30,
            ssl_enable=args.tls,
            ca_certs=args.ca,
            certfile=args.cert,
            keyfile=args.key,
        )
        try:
            with client:
                while windows:
                    client.send(windows[0])
                    windows.pop(0)
        except Exception as error:  # any error: connect again, send again
            if time.monotonic() > deadline:
                raise
            print(f"again after: {error!r}", file=sys.stderr)
            time.sleep(0.1)
    print(json.dumps({"events": len(events), "connections": connections}))


main()
