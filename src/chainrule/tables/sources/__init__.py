"""Where tables come from: a kind of source a file. Each turns a source into bytes or a frame for the one reader."""
