"""The columns of the table of layers in a plan: what compiled code knows of a layer."""

# Kinds of layers.
DENSE, ELEMENTWISE, SOFTMAX, DROPOUT = range(4)
# What the layer is; its activation's code; its widths; where W and b begin in theta (b: −1 for none); where x and y
# begin in a row's activations (x: −1 for the batch itself); how many numbers dropout draws for a row before this layer.
KIND, CODE, INPUTS, OUTPUTS, W, B, X, Y, DRAWS = range(9)
