"""Model files: the safetensors container, the checks of what it holds, and what is saved in it."""
