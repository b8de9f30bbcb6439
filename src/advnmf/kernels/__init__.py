"""The only room that knows Numba: compiled loops over the rows of a factor."""
