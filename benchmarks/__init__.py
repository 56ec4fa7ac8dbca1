"""What chainrule takes, and what its peers take for the same: ``python -m benchmarks``.

How it is measured, for every workload alike (``measure.py``):

- Every contestant works in a process of its own (``worker.py``), so that no thread pool disturbs another. They take
  turns, A B C A B C, and only one of them works at a time. A first round warms up and does not count. What is printed
  are medians, and how many times as long as ours a peer takes.
- Everyone starts from the same parameters and takes the rows in the same order: those that scikit-learn draws for
  ``random_state=0`` (``data.py``). Data and network are there before the clock starts; drawing the order belongs to the
  measured time of all. What was reached is printed beside the time.
- Ours uses as many threads as ``train`` chooses by itself. For each peer, and for the floor, one thread and all of them
  are tried in the warm-up, and the faster one stays. Whole ``fit`` calls are left to everyone's own defaults.

``contestants/`` has a module for each, with the same functions; each other module has the workloads of one table.
"""
