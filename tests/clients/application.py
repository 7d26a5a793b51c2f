"""What the Python applications share: the account of what they wrote, and their conversation with the test.

Whatever an application does, it does by writing: for each name of its account a counter `count:NAME` and a list
`list:NAME` grow together, the list by 0, 1, 2 and so on. Each reply is compared at once, and the test compares the
target with the account in the end: a write that is lost, doubled or out of order shows.
"""

import collections
import json
import os
import sys
import threading
import time
import traceback

# How long anything may take that is to happen by itself.
LIMIT_SECONDS = 15
# A blocking pop with this time limit begins before the cutover and runs out after it.
PATIENCE_SECONDS = 3
# What is written with one pipeline.
PIPELINE = 20
# Keys to iterate over.
ITEMS = 300

SCRIPT = """
local count = redis.call('INCR', KEYS[1])
return {count, redis.call('RPUSH', KEYS[2], ARGV[1])}
"""


class Account:
    """How often was written under each name, and how many messages of each stream were handled."""

    def __init__(self):
        self.written = collections.Counter()
        self.streams = collections.Counter()

    def queue(self, pipe, name, times=1):
        """The next writes under a name, queued in a pipeline or a transaction."""
        for number in range(self.written[name], self.written[name] + times):
            pipe.incr(f"count:{name}")
            pipe.rpush(f"list:{name}", number)

    def settle(self, name, replies):
        """Both the counter and the length of the list are what they must be now."""
        first, times = self.written[name], len(replies) // 2
        expected = [number for count in range(first + 1, first + times + 1) for number in (count, count)]
        assert times and replies == expected, f"{name}: {replies} instead of {expected}"
        self.written[name] += times


def say(word):
    print(word, flush=True)


def hear():
    """The test's next word; empty when it has no more to say."""
    return sys.stdin.readline().strip()


def say_done(account):
    say("done " + json.dumps({"written": account.written, "streams": account.streams}))


def spawn(function, *arguments):
    """A thread whose failure is the failure of the application."""

    def run():
        try:
            function(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    thread = threading.Thread(target=run, name=function.__name__, daemon=True)
    thread.start()
    return thread


def eventually(condition):
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"did not come true in {LIMIT_SECONDS} s"
        time.sleep(0.005)


def join(thread):
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive(), f"{thread.name} does not end"
