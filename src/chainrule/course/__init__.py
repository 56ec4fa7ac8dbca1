"""A course: exercises for learners who write backpropagation themselves, and grades for their teachers.

``chainrule course`` is its command; docs/course.md describes it. The exercises are in ``exercises``, one in a file. A
learner's code runs in a process of its own (:mod:`chainrule.course.child`); what is right is decided in this one.
"""
