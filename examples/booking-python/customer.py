#!/usr/bin/env python3
"""Plays A: orders items as long as the money lasts, then says bye."""
import json
import os
import sys


def write(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def read():
    text = sys.stdin.readline()
    if not text:
        sys.exit(1)  # the supervisor is gone
    return json.loads(text)


def receive(peer):
    write({"type": "receive", "from": peer})
    while True:
        line = read()
        if line["type"] == "message":
            return line


start = read()
assert start["type"] == "start"

money = int(os.environ.get("BOOKING_MONEY", "1000"))
item = spent = 0
while True:
    item += 1
    write({"type": "send", "to": "B", "label": "order", "payload": item})
    price = receive("B")["payload"]
    if price != 3 * item:
        sys.exit(f"the price of item {item} is {price}")
    if spent + price > money:
        break
    spent += price
write({"type": "send", "to": "B", "label": "bye"})
write({"type": "log", "text": f"spent {spent} of {money} on {item - 1} items"})
