"""Charts: drawn as SVG for pages, and made into files for papers.

`drawing` has the pieces, `charts`, `scatter` and `heatmap` the kinds of charts, as they stand in a page.
`paper` makes them stand alone, `pdf` draws them as PDF, `files` writes either by the ending of a name.
"""
