"""The raw forms of the data sets, one file each: how to recognise the form, list its rows, and read one row."""
