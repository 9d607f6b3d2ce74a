"""The columns of `clips.csv`, which the page saves in the same form."""

COLUMNS = (
    *("path", "start", "end", "label", "predicted_label", "probability"),
    *("second_label", "second_probability", "margin"),
)
QUALITY = "quality"  # the last column where labels are checked
