"""The process of one contestant: it reads requests as lines of JSON and answers with its times as lines of JSON."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time

from benchmarks.contestants import CORES


def main() -> None:
    if (cores := os.environ.get(CORES)) and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of a library must not mix with the answers
    begin = time.perf_counter()
    module = importlib.import_module(sys.argv[1])
    print(json.dumps({"import_seconds": time.perf_counter() - begin}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        gc.collect()
        try:
            answer = getattr(module, asked["do"])(**asked["work"])
        except Exception as error:  # noqa: BLE001  (the other side reports it)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
