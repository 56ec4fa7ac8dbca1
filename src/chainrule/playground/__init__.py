"""The playground: a page in the browser in which :func:`chainrule.train` runs, and the server behind it."""
