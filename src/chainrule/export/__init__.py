"""Trained models as C, JavaScript or NumPy, without chainrule."""
