"""The interactive report of runs: one HTML page that opens from disk, without a network.

`run` reads a run directory; `overview`, `curves`, `boltzmann`, `critics`, `arm` and `replay` each
compute one part of the page as plain data; `page` writes the file. The JavaScript files draw.
"""
