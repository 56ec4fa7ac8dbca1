"""The steps of a block of batches in one call: the operations of a program, phase by phase, shared among threads."""

from __future__ import annotations

import math

from chainrule.training.compiled import slots, team
from chainrule.training.compiled.compiling import inlined, operation
from chainrule.training.compiled.team import barrier, next_task

call, integer, real, set_integer, set_real = inlined("call", "integer", "real", "set_integer", "set_real")

# The job: what each thread works on; the operations; the phases; the batches; where the rows are if they are ready, and
# the bytes of a row, of what is drawn for a row, and of a gradient; and where what is measured belongs.
(
    BASES, OPERATIONS, PHASES, COUNT, BATCH_SIZE, ROWS, PARTS, BY_ROWS, READY, ROW_BYTES, ORDERS, ALL_DRAWS, DRAW_BYTES,
    GRADS, GRAD_BYTES, SUMS, LOSSES, PENALTIES, TOTALS, RATES, ACCUMULATE, RANKS, JOB
) = range(23)  # fmt: skip
# Phases: parts of the batch; shares of the parameters; once for all; whether the loss is finite; and whether that of
# all ranks is. Flags: a barrier follows; only after the last batch of a step.
OF_ROWS, OF_PARAMETERS, ONCE, CHECK, CHECK_ALL = range(5)
WITH_BARRIER, AT_THE_END = 1, 2


@operation
def epoch(job, shared, rank, threads, tasks, passed, out):
    """Do a block of batches; leave in ``out`` how many of them have a finite loss, and the barriers passed.

    What is to be done is written in ``shared``: the batches from FIRST to LAST of an epoch, the first of them step
    number STEP, and its first row among those that are ready. Training ends before the update of the first batch whose
    loss is not finite. A batch has the same parts however many threads share them. Thread 0 returns after one task; the
    others go on until there is nothing to do for long.
    """
    base = integer(job, BASES) + 8 * slots.BASE * rank
    operations, phases, count = integer(job, OPERATIONS), integer(job, PHASES), integer(job, COUNT)
    batch_size, parts, by_rows = integer(job, BATCH_SIZE), integer(job, PARTS), integer(job, BY_ROWS)
    accumulate = integer(job, ACCUMULATE)
    sums, grads = integer(job, SUMS), integer(job, GRADS)
    done = 0
    while rank == 0 or next_task(shared, rank, tasks):
        tasks += 1
        done, drawn = 0, integer(job, ALL_DRAWS)
        first, last, t = integer(shared, team.FIRST), integer(shared, team.LAST), integer(shared, team.STEP)
        for batch in range(first, last):
            start = batch * batch_size
            n = min(batch_size, integer(job, ROWS) - start)
            set_integer(base, slots.ORDER, integer(job, ORDERS) + 8 * start)
            set_integer(base, slots.DRAWS, drawn)
            drawn += n * integer(job, DRAW_BYTES)
            if integer(job, READY):
                row = integer(shared, team.ROW) + start - first * batch_size
                set_integer(base, slots.BATCH, integer(job, READY) + row * integer(job, ROW_BYTES))
            set_real(base, slots.RATE, real(integer(job, RATES), batch))
            set_integer(base, slots.STEP, t + (batch - first) // accumulate)
            of_step = (batch - first) % accumulate
            set_integer(base, slots.OF_STEP, of_step)
            at_end, finite = of_step == accumulate - 1 or batch == last - 1, True
            for i in range(count):
                phase = phases + 32 * i
                kind, begin, end, flags = integer(phase, 0), integer(phase, 1), integer(phase, 2), integer(phase, 3)
                if flags & AT_THE_END and not at_end:
                    continue
                if kind == CHECK:
                    loss = 0.0
                    for p in range(parts):
                        loss += real(sums, 3 * p)
                    if rank == 0:
                        set_real(integer(job, LOSSES), batch, loss)
                        set_real(integer(job, TOTALS), batch, real(base, slots.TOTAL))
                    finite = math.isfinite(loss) or integer(job, RANKS) > 1
                    if not finite:
                        break
                    total = real(base, slots.TOTAL)
                    set_real(base, slots.WHOLE, total + (real(base, slots.WHOLE) if of_step else 0.0))
                    set_real(base, slots.LOSS, total * loss + (real(base, slots.LOSS) if of_step else 0.0))
                elif kind == CHECK_ALL:
                    whole = real(base, slots.WHOLE)
                    loss = real(base, slots.LOSS) / (whole if whole > 0 else 1.0)
                    if rank == 0:
                        for b in range(batch - of_step, batch + 1):
                            set_real(integer(job, LOSSES), b, loss)
                            set_real(integer(job, TOTALS), b, whole / (of_step + 1))
                    finite = math.isfinite(loss)
                    if not finite:
                        break
                elif kind == ONCE:
                    if rank == 0:
                        for o in range(begin, end):
                            op = operations + 8 * slots.WIDTH * o
                            call(integer(op, slots.CODE), (op, base, n, 0, n))
                else:
                    for p in range(rank, parts, threads):
                        set_integer(base, slots.PART, p)
                        own = kind == OF_ROWS and by_rows
                        set_integer(base, slots.GRAD, grads + (p * integer(job, GRAD_BYTES) if own else 0))
                        set_integer(base, slots.SHARE, p if kind == OF_PARAMETERS else 0)
                        set_integer(base, slots.SHARES, parts if kind == OF_PARAMETERS else 1)
                        row = n * p // parts if kind == OF_ROWS else 0
                        rows = n * (p + 1) // parts - row if kind == OF_ROWS else n
                        for o in range(begin, end):
                            op = operations + 8 * slots.WIDTH * o
                            call(integer(op, slots.CODE), (op, base, n, row, rows))
                if flags & WITH_BARRIER:
                    passed = barrier(shared, threads, passed)
                    if passed < 0:
                        break
            if passed < 0 or not finite:
                break
            if rank == 0 and at_end:
                penalty = 0.0
                for p in range(parts):
                    penalty += real(sums, 3 * p + 2)
                for b in range(batch - of_step, batch + 1):
                    set_real(integer(job, PENALTIES), b, penalty)
            done += 1
        if rank == 0 or passed < 0:
            break
    set_integer(out, 0, done)
    set_integer(out, 1, passed)
