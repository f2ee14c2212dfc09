#!/usr/bin/env python3
"""Plays B: answers each order with a price, until the customer says bye."""
import json
import sys


def write(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def read():
    text = sys.stdin.readline()
    if not text:
        sys.exit(1)  # the supervisor is gone
    return json.loads(text)


def receive():
    write({"type": "receive"})
    while True:
        line = read()
        if line["type"] == "message":
            return line


start = read()
assert start["type"] == "start"
print(f"{start['role']} starts as incarnation {start['incarnation']}", file=sys.stderr)

while True:
    message = receive()
    if message["label"] == "bye":
        break
    write({"type": "send", "to": "A", "label": "price", "payload": 3 * message["payload"]})
