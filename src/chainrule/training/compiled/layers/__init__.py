"""The layers' compiled forms, each in the file of its layer's name: a function named as the class plans it.

It gets the layer, the :class:`~chainrule.training.compiled.program.Program` to write operations to, and the offset of
x among the values of a row, and returns the offset of y. A class without such a function has no compiled form.
"""
