"""One problem, and the loop that minimises it: factors, starts, offsets, ridges."""
