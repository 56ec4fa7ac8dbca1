"""Internal foundations of the package: checks, names, threads, types. Nothing here is public."""
