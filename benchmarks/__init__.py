"""Benchmarks of chainrule against other libraries: ``python -m benchmarks``.

All workloads are measured in the same way (``measure.py``):

- Each contestant runs in its own process (``worker.py``), so that no thread pool disturbs another. They run in turns,
  A B C A B C, one at a time, and the first round is a warm-up that is not counted. The output shows medians, and ratios
  to chainrule's time.
- All contestants start from the same parameters and see the rows in the same order, that of scikit-learn with
  ``random_state=0`` (``data.py``). Data and network exist before timing starts; drawing the order is included in the
  time. The final loss or accuracy is printed next to the time.
- chainrule uses the number of threads that ``train`` chooses. Every other library, and the floor, tries one thread and
  all threads in the warm-up and keeps the faster. Complete ``fit`` calls use each library's defaults. Where a title
  says "1 thread" or "2 threads", every process has so many cores and threads.

``contestants/`` has a module for each contestant, with the same functions; every other module has the workloads of one
table.
"""
