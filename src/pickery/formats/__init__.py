"""Files that users bring and take away: micrographs and picks, in the conventions of the programs that write them.

The only place that flips, scales or rounds coordinates. Inside the program a pick is (x, y), a float centre in pixels
of the full-size micrograph's array, x = column, y = row, row 0 the first in the file. `micrographs` and `picks` are the
two doors; knows nothing of what is done with either.
"""
